"""What every source yields, and what the trace sources are told."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

MICROSECONDS = 1_000_000
DAY_MICROSECONDS = 86_400 * MICROSECONDS


class SourceRecord(NamedTuple):
    """One event of an input, as the bytes to parse."""

    file: str
    line: int
    """From 1; in a batch the event's position."""
    payload: bytes
    received_at: int | None = None
    """UTC microseconds, where the source itself knows when the event was received."""


@dataclass(frozen=True)
class TraceOptions:
    """What a trace does not tell: who its customers are, and when a trace without dates took place."""

    customers: int = 10
    seed: int = 0
    start: datetime | None = None
    """Aware. Where the sessions of an undated trace begin; a dated trace is shifted to begin there."""
    days: int = 14
    """Over how many days the sessions of an undated trace are laid out."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Counts, by token class, what had no tokens and so made no event."""


def fraction(options: TraceOptions, *parts: str) -> int:
    """A 64-bit number that depends on the seed and the parts only."""
    return int.from_bytes(sha256("\0".join((str(options.seed), *parts)).encode()).digest()[:8])


def customer_of(options: TraceOptions, *parts: str) -> str:
    """One of the trace's customers, the same for the same seed and parts."""
    return f"customer-{fraction(options, 'customer', *parts) % options.customers + 1:03d}"
