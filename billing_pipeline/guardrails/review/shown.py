"""What is shown, as documents: amounts as text of an integer, instants as RFC 3339, all else as it is.

A field says what it holds by its type, so the API, `--json` and the console can never disagree.
"""

from functools import cache
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import msgspec

from billing_pipeline.contract.instants import instant_text

_AMOUNT = "amount"
_INSTANT = "instant"

Nano = Annotated[int, _AMOUNT]
"""Nano-units of the currency beside it."""

Instant = Annotated[int, _INSTANT]
"""UTC microseconds."""

Document = dict[str, Any]
Shown = TypeVar("Shown", bound=msgspec.Struct)


def document(shown: msgspec.Struct) -> Document:
    """The struct as JSON has it."""
    kinds = _kinds(type(shown))
    return {name: _value(getattr(shown, name), kinds.get(name)) for name in shown.__struct_fields__}


def _value(value: Any, kind: str | None) -> Any:
    if value is None:
        return None
    if kind == _AMOUNT:
        return str(value)
    if kind == _INSTANT:
        return instant_text(value)
    if isinstance(value, msgspec.Struct):
        return document(value)
    if isinstance(value, tuple | list):
        return [_value(each, None) for each in value]
    return value


@cache
def _kinds(struct: type[msgspec.Struct]) -> dict[str, str]:
    hints = get_type_hints(struct, include_extras=True)
    return {name: kind for name, hint in hints.items() if (kind := _kind(hint)) is not None}


def _kind(hint: Any) -> str | None:
    for each in (hint, *get_args(hint)):
        for kind in getattr(each, "__metadata__", ()):
            return str(kind)
    return None
