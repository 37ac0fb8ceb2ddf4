"""`billing trace --line`: an invoice line back to its evidence, rollup rows by partition and events by offset."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from billing_pipeline.audit.trace_agreements import Agreements
from billing_pipeline.audit.trace_bookings import BOOKING_ORDER, SQL
from billing_pipeline.audit.trace_records import Place, places
from billing_pipeline.audit.trace_rows import Booking, LineRow, RollupRow
from billing_pipeline.audit.values import sql_text
from billing_pipeline.errors import TraceNotFoundError
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.calendar import days_between
from billing_pipeline.metering.meters import taken_by
from billing_pipeline.metering.stage import Workshop, receipt_days_for, scan
from billing_pipeline.rating.money import sum_exact
from billing_pipeline.rating.rule_book import Meter
from billing_pipeline.schemas.table import Column, ColumnType
from billing_pipeline.schemas.tables import (
    INVOICE_LINES,
    UNIQUE_USAGE_EVENTS,
    USAGE_CORRECTIONS,
    USAGE_ROLLUPS,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

DIMENSION_COLUMNS = (Column("dimensions", ColumnType.TEXT, "dimensions of an event that the meter takes"),)
KEY_COLUMNS = (
    Column("customer_id", ColumnType.TEXT, "who pays"),
    Column("project_id", ColumnType.TEXT, "the customer's project"),
    Column("unit", ColumnType.TEXT, "the meter's unit"),
    Column("rule_version", ColumnType.TEXT, "rule version"),
    Column("period_end_day", ColumnType.DAY, "end of the invoice period"),
)
DAY_COLUMNS = (Column("usage_day", ColumnType.DAY, "usage day of the line"),)


_IDENTITY = ("received_at", "source", "id", "correlation_id")


class EvidenceRow(NamedTuple):
    """A booking behind a line, with the identity it goes by."""

    booking: Booking
    received_at: datetime
    source: str
    id: str
    correlation_id: str | None
    place: Place | None


@dataclass(frozen=True)
class LineTrace:
    """A line and what it rests on.

    Attributes:
        aggregation: of the line's meter; "" for a line of none.
        event_quantity: what the events come to by the meter, where it adds up; None where it looks at the usage day as
            a whole, and for a line of no meter.
        taken_from: of a line of no meter (a fee, a discount, a credit …) what its amount was taken from.
    """

    line: LineRow
    aggregation: str
    rollups: tuple[RollupRow, ...]
    rollup_quantity: Decimal
    event_rows: int
    event_quantity: Decimal | None
    events: tuple[EvidenceRow, ...]
    taken_from: tuple[str, ...] = ()

    @property
    def adds_up(self) -> bool:
        """Whether rollups, and events where they can, come to the quantity; without a meter, parts to the amount."""
        if not self.line.meter:
            parts = json.loads(self.line.tiers)
            return sum_exact(Decimal(part["amount"]) for part in parts) == self.line.amount
        return self.rollup_quantity == self.line.quantity and self.event_quantity in (
            None,
            self.line.quantity,
        )


def trace_line(workshop: Workshop, control: "Engine", line_id: str, events_most: int | None) -> LineTrace:
    """A line's evidence; at most so many events are listed, all of them count.

    Raises:
        TraceNotFoundError: there is no such line.
    """
    with workshop.engine.session() as session:
        line = _line(workshop, session, line_id)
        if not line.meter:
            return LineTrace(line, "", (), Decimal(), 0, None, (), _taken_from(line))
        known = Agreements(workshop, session)
        rollups = _rollups(workshop, session, line, known)
        meter = _meter(workshop, line)
        days = sorted({row.usage_day for row in rollups})
        groups = {line.dimensions, *(row.dimensions for row in rollups)}
        _name_evidence(workshop, session, line, days, groups)
        what = "event_share" if meter is not None and meter.aggregation == "count" else "quantity"
        ((count, total),) = session.rows(
            f"SELECT count(*), coalesce(sum(CASE WHEN sign < 0 THEN -{what} ELSE {what} END), 0) FROM evidence"
        )
        events = _events(workshop, control, session, events_most)
    return LineTrace(
        line=line,
        aggregation="unknown" if meter is None else meter.aggregation,
        rollups=tuple(rollups),
        rollup_quantity=sum_exact(row.quantity for row in rollups),
        event_rows=int(str(count)),
        event_quantity=Decimal(str(total)) if meter is not None and meter.is_additive else None,
        events=tuple(events),
    )


def _line(workshop: Workshop, session: Session, line_id: str) -> LineRow:
    scan(workshop, session, "lines", INVOICE_LINES)
    rows: list[Any] = session.rows(
        f"SELECT {', '.join(LineRow._fields)} FROM lines WHERE line_id = {sql_text(line_id)}"
    )
    if not rows:
        raise TraceNotFoundError(
            f"there is no invoice line {line_id!r}; `billing invoice show CUSTOMER PERIOD --json` names those of an "
            "invoice"
        )
    return LineRow(*rows[0])


def _meter(workshop: Workshop, line: LineRow) -> Meter | None:
    book = workshop.books.get(line.rule_version)
    return book.meters.get(line.meter) if book else None


def _taken_from(line: LineRow) -> tuple[str, ...]:
    """The parts of an amount in words: `10 % off 25.00 USD`, `at least 40.00 USD, charged 22.50 USD`."""
    return tuple(
        f"{part['tier'] or part['unit_price']}: {part['amount']} {line.currency.upper()}"
        for part in json.loads(line.tiers)
    )


def _rollups(workshop: Workshop, session: Session, line: LineRow, known: Agreements) -> list[RollupRow]:
    """The rollup rows that the line bills: of its key and usage period, posted by the end of its invoice period."""
    posted = days_between(line.usage_period, line.period_end_day)
    same = "" if known.folds(line) else f"AND dimensions = {sql_text(line.dimensions)} "
    scan(workshop, session, "rollups", USAGE_ROLLUPS, posted)
    rows: list[Any] = session.rows(
        f"SELECT {', '.join(RollupRow._fields)} FROM rollups WHERE {_of_key(line)} "
        f"AND meter = {sql_text(line.meter)} {same}"
        "ORDER BY posting_day, usage_day, kind, dimensions"
    )
    return [row for each in rows if known.prices(line, row := RollupRow(*each))]


def _of_key(line: LineRow) -> str:
    return (
        f"customer_id = {sql_text(line.customer_id)} AND project_id = {sql_text(line.project_id)} "
        f"AND unit = {sql_text(line.unit)} AND rule_version = {sql_text(line.rule_version)}"
    )


def _name_evidence(
    workshop: Workshop, session: Session, line: LineRow, usage_days: Sequence[date], groups: Collection[str]
) -> None:
    """Name `evidence`: every booking that the line's meter takes into one of the groups on these usage days."""
    posted = days_between(usage_days[0], line.period_end_day) if usage_days else []
    receipt_days = receipt_days_for(workshop, posted)
    scan(workshop, session, "unique_events", UNIQUE_USAGE_EVENTS, receipt_days)
    scan(workshop, session, "corrections", USAGE_CORRECTIONS, receipt_days)
    session.load("line_days", DAY_COLUMNS, [(day,) for day in usage_days])
    key = (line.customer_id, line.project_id, line.unit, line.rule_version, line.period_end_day)
    session.load("line_key", KEY_COLUMNS, [key])
    session.define("bookings", SQL / "bookings.sql")
    session.keep("candidates", SQL / "line_candidates.sql")
    book = workshop.books.get(line.rule_version)
    texts = session.rows("SELECT DISTINCT dimensions FROM candidates ORDER BY dimensions")
    taken = [
        (text,)
        for (text,) in texts
        if book is not None
        and any(
            each.meter.name == line.meter and each.grouped_dimensions in groups
            for each in taken_by(book, line.unit, str(text))
        )
    ]
    session.load("line_dimensions", DIMENSION_COLUMNS, taken)
    session.define("evidence", SQL / "line_evidence.sql")


def _events(
    workshop: Workshop, control: "Engine", session: Session, events_most: int | None
) -> list[EvidenceRow]:
    limit = "" if events_most is None else f" LIMIT {events_most}"
    columns = ", ".join((*Booking._fields, *_IDENTITY))
    rows: list[Any] = session.rows(f"SELECT {columns} FROM evidence ORDER BY {BOOKING_ORDER}{limit}")
    width = len(Booking._fields)
    bookings = [(Booking(*row[:width]), row[width:]) for row in rows]
    lying = places(workshop, control, session, [(b.queue_offset, b.receipt_day) for b, _ in bookings])
    return [
        EvidenceRow(booking, *identity, place=lying.get(booking.queue_offset))  # type: ignore[misc]  # _IDENTITY's four
        for booking, identity in bookings
    ]
