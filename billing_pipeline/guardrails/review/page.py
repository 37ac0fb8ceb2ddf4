"""Lists come in pages: so many rows, and where the next ones begin."""

from typing import Generic, TypeVar

import msgspec

from billing_pipeline.errors import GuardRequestError

ROWS = 50
ROWS_MOST = 500
_DIGITS = 18
"""Of a number that 64 bits hold, whatever its digits are."""

Row = TypeVar("Row")


class Page(msgspec.Struct, Generic[Row], frozen=True):
    """Some rows; `after` is what to ask for the next with, None where there are no more."""

    rows: tuple[Row, ...]
    after: str | None = None


def checked_rows(rows: int) -> int:
    """How many rows a page may have.

    Raises:
        GuardRequestError: none, or too many.
    """
    if not 1 <= rows <= ROWS_MOST:
        raise GuardRequestError("rows", rows, f"ask for 1 to {ROWS_MOST}")
    return rows


def number_of(after: str) -> int:
    """The number that a page's `after` was made of.

    Raises:
        GuardRequestError: it is none that was given out.
    """
    if not (after.isascii() and after.isdecimal() and len(after) <= _DIGITS):
        raise GuardRequestError("after", after, "give what the page before said")
    return int(after)
