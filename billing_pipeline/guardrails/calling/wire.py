"""Requests and answers as the HTTP API has them: amounts as text of the integer, instants as RFC 3339.

JSON numbers are floats to many readers, and a float does not hold all amounts.
"""

from typing import Any, TypeVar

import msgspec

from billing_pipeline.contract.instants import instant_text, instant_us

AMOUNTS = frozenset(
    {
        "amount",
        "asked",
        "available",
        "booked",
        "expired",
        "freed",
        "granted",
        "held",
        "left",
        "limit",
        "overdraft",
        "overrun",
        "pending",
        "remaining",
        "settled",
        "spent",
        "unguarded",
        "used",
    }
)
"""Fields that hold nano-units; `limit` and `left` of a denial may be steps or seconds, and are text all the same."""

INSTANTS = frozenset({"ended_at", "expires_at", "granted_at", "last_at", "resets_at", "started_at"})
"""Fields that hold UTC µs."""

NUMBERS = frozenset({"priority", "steps", "ttl_seconds"})
"""Fields that are numbers in JSON too."""

Json = dict[str, Any]
Read = TypeVar("Read", bound=msgspec.Struct)


def to_json(struct: msgspec.Struct) -> Json:
    """The struct as a document."""
    return {name: _written(name, getattr(struct, name)) for name in struct.__struct_fields__}


def from_json(document: object, kind: type[Read]) -> Read:
    """The struct that a document is; what it has besides is left out.

    Raises:
        ValueError: it is none, so it was not the guard that wrote it.
    """
    return msgspec.convert(_read(document), kind)


def _written(name: str, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, msgspec.Struct):
        return to_json(value)
    if isinstance(value, tuple):
        return [_written(name, each) for each in value]
    if name in AMOUNTS:
        return str(value)
    return instant_text(value) if name in INSTANTS else value


def _read(node: object) -> object:
    if isinstance(node, list):
        return [_read(each) for each in node]
    if isinstance(node, dict):
        return {name: _value(name, value) for name, value in node.items()}
    return node


def _value(name: str, value: object) -> object:
    if not isinstance(value, str):
        return _read(value)
    if name in AMOUNTS:
        return int(value)
    if name in INSTANTS:
        return instant_us(value)
    return value
