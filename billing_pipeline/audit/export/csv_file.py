"""CSV that a spreadsheet reads as it was meant: numbers stay numbers, and no text becomes a formula."""

import csv
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import TextIO

from billing_pipeline.contract.instants import instant_text, microseconds_of

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
GUARD = "'"


def cell(value: object) -> str:
    """A value as a cell: exact numbers, ISO 8601 days and instants, empty for nothing.

    Text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return instant_text(microseconds_of(value)).replace(".000000Z", "Z")
    if isinstance(value, int | date):
        return str(value)
    text = str(value)
    return GUARD + text if text.startswith(FORMULA_STARTS) else text


def write_rows(file: TextIO, rows: Iterable[Iterable[object]]) -> None:
    """Append rows; lines end with a line feed, so that the bytes are the same everywhere."""
    csv.writer(file, lineterminator="\n").writerows([cell(value) for value in row] for row in rows)
