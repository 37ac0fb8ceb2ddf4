"""Values of tables as plain text or JSON: exact, and the same in every report."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from billing_pipeline.contract.instants import instant_text, microseconds_of
from billing_pipeline.rating.money import plain


def plain_value(value: Any) -> Any:
    """Whole numbers, flags and text as they are, decimals as exact text, times in ISO 8601, bytes in hex."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return instant_text(microseconds_of(value))
    return value.isoformat()


def document(value: Any) -> Any:
    """A report as JSON can hold it: data classes and named tuples as objects, values as `plain_value` writes them."""
    if is_dataclass(value):
        return {each.name: document(getattr(value, each.name)) for each in fields(value)}
    if hasattr(value, "_asdict"):
        return {name: document(each) for name, each in value._asdict().items()}
    if isinstance(value, Mapping):
        return {str(name): document(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [document(each) for each in value]
    return plain_value(value)


def sql_text(value: str) -> str:
    """A text as a literal of SQL."""
    return "'" + value.replace("'", "''") + "'"
