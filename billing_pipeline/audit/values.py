"""Values of tables as plain text or JSON: exact, and the same in every report."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from billing_pipeline.contract.instants import instant_text, microseconds_of


def plain_value(value: Any) -> Any:
    """Whole numbers, flags and text as they are, decimals as exact text, times in ISO 8601, bytes in hex."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Decimal):
        return f"{value.normalize():f}" if value else "0"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return instant_text(microseconds_of(value))
    return value.isoformat()


def sql_text(value: str) -> str:
    """A text as a literal of SQL."""
    return "'" + value.replace("'", "''") + "'"
