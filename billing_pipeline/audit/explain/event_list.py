"""The events behind a line as CSV: all of them, in one order, safe to open in a spreadsheet."""

import csv
import hashlib
import io
from collections.abc import Iterable

from billing_pipeline.audit.explain.explanation import Event
from billing_pipeline.audit.values import plain_value

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_TEXTS = frozenset({"source", "id", "correlation_id", "dimensions", "unit"})


def events_csv(events: Iterable[Event]) -> str:
    """The events with a line of names; RFC 4180.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\r\n")
    writer.writerow(Event._fields)
    for event in events:
        writer.writerow([_cell(name, value) for name, value in event._asdict().items()])
    return target.getvalue()


def sha256_of(text: str) -> str:
    """SHA-256 (hex) of a text's UTF-8 bytes."""
    return hashlib.sha256(text.encode()).hexdigest()


def _cell(name: str, value: object) -> str:
    text = "" if value is None else str(plain_value(value))
    return f"'{text}" if name in _TEXTS and text.startswith(_FORMULA) else text
