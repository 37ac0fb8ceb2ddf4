"""What events book: their parts and corrections, the rollup rows these are in, and the invoice lines on top.

From an event forwards and from a line backwards the same question is asked: which meter takes it, in which group, in
which usage period.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from operator import attrgetter
from pathlib import Path
from typing import Any

from billing_pipeline.audit.trace_agreements import Agreements, LinesByMeter
from billing_pipeline.audit.trace_rows import Booking, LineRow, RollupRow
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.meters import Metered, taken_by
from billing_pipeline.metering.stage import Workshop, scan
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


_LINE_ORDER = attrgetter("period_end_day", "usage_period", "charge", "line_id")
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
    known = Agreements(workshop, session)
    near = LinesByMeter(lines)
    for part, metered in taken:
        mine = _rollups_of(part.booking, metered, rollups)
        resting = {line: None for row in mine for line in near.near(row) if known.prices(line, row)}
        meter, booking = metered.meter, part.booking
        part.meterings.append(
            Metering(
                meter.name,
                meter.aggregation,
                meter.is_additive,
                tuple(mine),
                tuple(sorted(resting, key=_LINE_ORDER)),
                known.free_under(booking.customer_id, booking.usage_day, meter.name, booking.rule_version),
            )
        )
    return parts


def meters_of(workshop: Workshop, booking: Booking) -> list[Metered]:
    """The meters that take a booking."""
    book = workshop.books.get(booking.rule_version)
    return list(taken_by(book, booking.unit, booking.dimensions)) if book else []


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
    """The lines of the groups' meters, of whatever dimensions: a price may fold some of them."""
    session.load("wanted", GROUP_COLUMNS[:4], sorted({group[:4] for group in groups}))
    scan(workshop, session, "lines", INVOICE_LINES)
    columns = ", ".join(f"l.{name}" for name in LineRow._fields)
    rows: list[Any] = session.rows(
        f"SELECT {columns} FROM lines AS l INNER JOIN wanted AS w "
        "ON l.customer_id = w.customer_id AND l.project_id = w.project_id AND l.meter = w.meter AND l.unit = w.unit"
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
