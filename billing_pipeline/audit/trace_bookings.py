"""What events book: their parts and corrections, the rollup rows these are in, and the invoice lines on top.

From an event forwards and from a line backwards the same question is asked: which meter takes it, in which group, in
which usage period.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from billing_pipeline.contract.registry import Registry
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.meters import Metered, taken_by
from billing_pipeline.metering.registry_relations import registry_until
from billing_pipeline.metering.stage import Workshop, scan
from billing_pipeline.rating.agreement import agreement_of
from billing_pipeline.rating.periods import period_start
from billing_pipeline.schemas.table import Column, ColumnType
from billing_pipeline.schemas.tables import (
    INVOICE_LINES,
    UNIQUE_USAGE_EVENTS,
    USAGE_CORRECTIONS,
    USAGE_ROLLUPS,
)

SQL = Path(__file__).parent / "sql"
_TEXT, _DAY = ColumnType.TEXT, ColumnType.DAY
GROUP_COLUMNS = (
    Column("customer_id", _TEXT, "who pays"),
    Column("project_id", _TEXT, "the customer's project"),
    Column("meter", _TEXT, "a meter that takes it"),
    Column("unit", _TEXT, "the meter's unit"),
    Column("dimensions", _TEXT, "the dimensions that the meter keeps apart"),
    Column("usage_day", _DAY, "day of usage"),
)


class Booking(NamedTuple):
    """A row that counts: a payer's part of an event (sign 1), or of it before (-1) and after (1) a correction."""

    origin: str
    queue_offset: int
    receipt_day: date
    event_offset: int
    sign: int
    posting_day: date
    usage_day: date
    rule_version: str
    allocation_index: int
    customer_id: str
    project_id: str
    unit: str
    quantity: Decimal
    event_share: Decimal
    dimensions: str
    billable: bool

    @property
    def kind(self) -> str:
        """As its rollup row calls it."""
        if self.origin == "correction":
            return "correction"
        return "on_time" if self.posting_day == self.usage_day else "late"


class RollupRow(NamedTuple):
    """A row of the rollups; fields as its columns."""

    posting_day: date
    rule_version: str
    usage_day: date
    kind: str
    customer_id: str
    project_id: str
    meter: str
    unit: str
    dimensions: str
    quantity: Decimal
    event_count: int


class LineRow(NamedTuple):
    """An invoice line; fields as the columns of `invoice_lines`."""

    line_id: str
    period_end_day: date
    billing_period: date
    usage_period: date
    kind: str
    customer_id: str
    project_id: str
    plan: str
    charge: str
    meter: str
    unit: str
    dimensions: str
    rule_version: str
    quantity: Decimal
    amount: Decimal
    amount_minor: int
    booked_before_minor: int
    currency: str
    description: str
    tiers: str
    evidence_digest: str


@dataclass(frozen=True)
class Metering:
    """One meter that takes a booking, with the rollup rows it is in and the lines that rest on them.

    A meter that adds up has it in one row. One that looks at a usage day as a whole books what the posting day changed
    in the group, which may be nothing, or a row of another rule version. `free_under` is the plan that leaves the meter
    free on purpose.
    """

    meter: str
    aggregation: str
    is_additive: bool
    rollups: tuple[RollupRow, ...]
    lines: tuple[LineRow, ...]
    free_under: str | None = None


@dataclass
class BookedPart:
    """A booking and the meters that take it; none where it is not billable, or where it is unmetered."""

    booking: Booking
    meterings: list[Metering] = field(default_factory=list)


class Periods:
    """Which usage period a usage day belongs to, and under which plan, as known now."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def usage_period(self, customer_id: str, usage_day: date) -> date:
        """The start of the usage period; its name."""
        return period_start(usage_day, self._registry.anchor_day(customer_id))

    def plan(self, customer_id: str, usage_day: date) -> str | None:
        """The plan in force on a usage day."""
        return agreement_of(self._registry, customer_id).plan_on(usage_day)

    def is_of_line(self, line: LineRow, usage_day: date, plans: Iterable[str]) -> bool:
        """Whether a line is about a usage day: of its period, and where several plans are billed, of its plan."""
        if self.usage_period(line.customer_id, usage_day) != line.usage_period:
            return False
        if set(plans) <= {line.plan}:
            return True
        return self.plan(line.customer_id, usage_day) == line.plan


def periods(workshop: Workshop, session: Session) -> Periods:
    """Periods under the registry as it is known now."""
    return Periods(registry_until(workshop, session, date.max))


BOOKING_ORDER = "queue_offset, sign, allocation_index"


def booked_parts(
    workshop: Workshop, session: Session, events: Sequence[tuple[int, date]]
) -> list[BookedPart]:
    """All that some counted events book, in the order of the log: their parts, then their corrections' rows."""
    listed = ", ".join(str(offset) for offset, _ in events) or "NULL"
    scan(workshop, session, "unique_events", UNIQUE_USAGE_EVENTS, {day for _, day in events})
    scan(workshop, session, "corrections", USAGE_CORRECTIONS)
    session.define("bookings", SQL / "bookings.sql")
    rows: list[Any] = session.rows(
        f"SELECT {', '.join(Booking._fields)} FROM bookings WHERE event_offset IN ({listed}) ORDER BY {BOOKING_ORDER}"
    )
    parts = [BookedPart(Booking(*row)) for row in rows]
    taken = [
        (part, metered)
        for part in parts
        if part.booking.billable and part.booking.event_share > 0
        for metered in meters_of(workshop, part.booking)
    ]
    rollups = _rollups_of_groups(
        workshop, session, [_group(part.booking, metered) for part, metered in taken]
    )
    lines = _lines_of_groups(workshop, session, [_group(part.booking, metered) for part, metered in taken])
    known = periods(workshop, session)
    for part, metered in taken:
        mine = _rollups_of(part.booking, metered, rollups)
        resting = [line for line in lines if any(_rests_on(line, row, lines, known) for row in mine)]
        meter = metered.meter
        part.meterings.append(
            Metering(
                meter.name,
                meter.aggregation,
                meter.is_additive,
                tuple(mine),
                tuple(resting),
                _free_under(workshop, part.booking, meter.name, known),
            )
        )
    return parts


def meters_of(workshop: Workshop, booking: Booking) -> list[Metered]:
    """The meters that take a booking."""
    book = workshop.books.get(booking.rule_version)
    return list(taken_by(book, booking.unit, booking.dimensions)) if book else []


def _free_under(workshop: Workshop, booking: Booking, meter: str, known: Periods) -> str | None:
    book = workshop.books.get(booking.rule_version)
    name = known.plan(booking.customer_id, booking.usage_day)
    plan = book.plans.get(name) if book and name else None
    return name if plan is not None and meter in plan.not_charged else None


Group = tuple[str, str, str, str, str, date]


def _group(booking: Booking, metered: Metered) -> Group:
    return (
        booking.customer_id,
        booking.project_id,
        metered.meter.name,
        booking.unit,
        metered.grouped_dimensions,
        booking.usage_day,
    )


def _rollups_of_groups(workshop: Workshop, session: Session, groups: Iterable[Group]) -> list[RollupRow]:
    wanted = sorted(set(groups))
    session.load("wanted", GROUP_COLUMNS, wanted)
    first = min((group[-1] for group in wanted), default=date.max)
    # Usage is posted on its own day or later.
    files = [file.path for file in workshop.lake.files(USAGE_ROLLUPS) if file.key.day >= first]
    session.scan("rollups", USAGE_ROLLUPS, files)
    columns = ", ".join(f"r.{name}" for name in RollupRow._fields)
    rows: list[Any] = session.rows(
        f"SELECT {columns} FROM rollups AS r INNER JOIN wanted AS w "
        "ON r.customer_id = w.customer_id AND r.project_id = w.project_id AND r.meter = w.meter AND r.unit = w.unit "
        "AND r.dimensions = w.dimensions AND r.usage_day = w.usage_day "
        f"ORDER BY {columns}"
    )
    return [RollupRow(*row) for row in rows]


def _lines_of_groups(workshop: Workshop, session: Session, groups: Iterable[Group]) -> list[LineRow]:
    session.load("wanted", GROUP_COLUMNS[:-1], sorted({group[:-1] for group in groups}))
    scan(workshop, session, "lines", INVOICE_LINES)
    columns = ", ".join(f"l.{name}" for name in LineRow._fields)
    rows: list[Any] = session.rows(
        f"SELECT {columns} FROM lines AS l INNER JOIN wanted AS w "
        "ON l.customer_id = w.customer_id AND l.project_id = w.project_id AND l.meter = w.meter AND l.unit = w.unit "
        "AND l.dimensions = w.dimensions ORDER BY l.period_end_day, l.usage_period, l.charge, l.line_id"
    )
    return [LineRow(*row) for row in rows]


def _rollups_of(booking: Booking, metered: Metered, rollups: Iterable[RollupRow]) -> list[RollupRow]:
    group = _group(booking, metered)
    mine = [row for row in rollups if _group_of(row) == group and row.posting_day == booking.posting_day]
    if metered.meter.is_additive:
        mine = [row for row in mine if row.rule_version == booking.rule_version and row.kind == booking.kind]
    return mine


def _group_of(row: RollupRow) -> Group:
    return (row.customer_id, row.project_id, row.meter, row.unit, row.dimensions, row.usage_day)


def _rests_on(line: LineRow, row: RollupRow, lines: Iterable[LineRow], known: Periods) -> bool:
    """Whether a line bills the quantity of a rollup row: its key, its usage period, posted by the end of the line's."""
    if (line.customer_id, line.project_id, line.meter, line.unit, line.dimensions) != _group_of(row)[:-1]:
        return False
    if line.rule_version != row.rule_version or row.posting_day > line.period_end_day:
        return False
    plans = {
        other.plan
        for other in lines
        if (other.customer_id, other.usage_period, other.meter)
        == (line.customer_id, line.usage_period, line.meter)
    }
    return known.is_of_line(line, row.usage_day, plans)
