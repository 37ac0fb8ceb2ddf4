"""A gap of a rule book: allowed, but probably not meant."""

from typing import NamedTuple


class Gap(NamedTuple):
    """What may be wrong, and where.

    Attributes:
        path: the place in the document, step by step: a key, the name of a list's item, or its `[index]`.
        code: what kind of gap it is, for filters.
        message: what is the matter and what comes of it, for people.
        is_note: worth knowing, but often meant so; never a reason to refuse a book.
    """

    path: tuple[str, ...]
    code: str
    message: str
    is_note: bool = False
