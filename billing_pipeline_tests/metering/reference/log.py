"""What the reference model reads: the log and the rule books, as plain values.

Instants are UTC microseconds since the epoch, days are whole days since the epoch, quantities are fractions. Two
records with one identity are the same event if they are equal: fields that say how an event was sent, not what
happened, take no part in the comparison.
"""

from dataclasses import dataclass, field
from fractions import Fraction

DAY_US = 86_400_000_000
MINUTE_US = 60_000_000

Dimensions = tuple[tuple[str, str], ...]
"""Pairs of name and value, sorted."""


@dataclass(frozen=True)
class Share:
    """One payer's share of a usage event."""

    customer: str
    project: str
    share: Fraction


@dataclass(frozen=True)
class Usage:
    """A usage event."""

    source: str
    id: str
    customer: str
    project: str
    occurred_at: int
    unit: str
    quantity: Fraction
    dimensions: Dimensions = ()
    billable: bool = True
    user_id: str | None = None
    session_id: str | None = None
    correlation_id: str = "c"
    shares: tuple[Share, ...] = ()
    emitted_at: int | None = field(default=None, compare=False)
    zeros: int = field(default=0, compare=False)
    """Zeros written behind the quantity."""


@dataclass(frozen=True)
class Replacement:
    """What a `replace` puts in place; None is not named."""

    customer: str | None = None
    project: str | None = None
    unit: str | None = None
    dimensions: Dimensions | None = None
    billable: bool | None = None
    quantity: Fraction | None = None


@dataclass(frozen=True)
class Correction:
    """A correction of the event whose source and id it names."""

    source: str
    id: str
    occurred_at: int
    corrects: tuple[str, str]
    action: str = "void"
    delta: Fraction | None = None
    replacement: Replacement | None = None
    note: str | None = None
    emitted_at: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Control:
    """A registry change: a customer `c` or a project `c/p` is registered, or closed from an instant on."""

    entity: str
    entity_id: str
    change: str
    effective_from: int = 0


@dataclass(frozen=True)
class Invalid:
    """A record that breaks the contract, with the code that the contract gives it."""

    payload: bytes
    code: str


Record = Usage | Correction | Control | Invalid


@dataclass(frozen=True)
class Entry:
    """A record in its place in the log."""

    offset: int
    received_at: int
    record: Record
    first_received_at: int | None = None
    """Where the record was sent again after its rejection: when it came first."""


@dataclass(frozen=True)
class Meter:
    """What is counted and how; `only` is the filter, `distinct` what a unique_count tells apart."""

    name: str
    unit: str
    aggregation: str
    group_by: tuple[str, ...] = ()
    only: tuple[tuple[str, tuple[str, ...]], ...] = ()
    distinct: str | None = None


@dataclass(frozen=True)
class Book:
    """One version of the rules, in force from `effective_from` until the next one starts."""

    version: str
    effective_from: int
    units: tuple[str, ...]
    meters: tuple[Meter, ...]
    grace_minutes: int = 60
    late_window_days: int = 35
    rejects_late: bool = False
    dedup_window_days: int | None = None
