"""`billing trace --event`: the way of one event, from the bytes that came to the invoice lines that rest on them."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from billing_pipeline.audit.trace_bookings import BookedPart, booked_parts
from billing_pipeline.audit.trace_records import Place, TracedRecord, places, records_of_event
from billing_pipeline.audit.values import sql_text
from billing_pipeline.errors import TraceNotFoundError
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.stage import Workshop, scan
from billing_pipeline.schemas.tables import USAGE_CORRECTIONS

if TYPE_CHECKING:
    from sqlalchemy import Engine


class CorrectionRow(NamedTuple):
    """A correction of the event and what became of it; fields as the columns of `usage_corrections`."""

    queue_offset: int
    receipt_day: date
    received_at: datetime
    source: str
    id: str
    action: str
    outcome: str
    reason_code: str
    note: str | None
    correlation_id: str | None
    corrected_queue_offset: int | None


@dataclass(frozen=True)
class TracedCorrection:
    """A correction with the place of its record; its rows are among the parts."""

    correction: CorrectionRow
    place: Place | None


@dataclass(frozen=True)
class EventTrace:
    """All records under one identity, the corrections of it, and what it books."""

    source: str
    id: str
    records: tuple[TracedRecord, ...]
    corrections: tuple[TracedCorrection, ...]
    parts: tuple[BookedPart, ...]


def trace_event(workshop: Workshop, control: "Engine", source: str, event_id: str) -> EventTrace:
    """The way of an event.

    Raises:
        TraceNotFoundError: no record of that identity has been landed.
    """
    records = records_of_event(workshop, control, source, event_id)
    if not records:
        raise TraceNotFoundError(
            f"no record of source {source!r} with id {event_id!r} has been landed. Is all landed (`billing queue "
            "status`)? "
            'Is it written so (`billing sql "SELECT DISTINCT source, id FROM raw_usage_events"`)?'
        )
    with workshop.engine.session() as session:
        corrections = _corrections(workshop, control, session, source, event_id)
        counted = [
            (each.record.queue_offset, each.record.receipt_day)
            for each in records
            if each.record.kind == "usage" and each.outcome.name == "counted"
        ]
        parts = booked_parts(workshop, session, counted)
    return EventTrace(source, event_id, tuple(records), tuple(corrections), tuple(parts))


def _corrections(
    workshop: Workshop, control: "Engine", session: Session, source: str, event_id: str
) -> list[TracedCorrection]:
    scan(workshop, session, "corrections", USAGE_CORRECTIONS)
    rows: list[Any] = session.rows(
        f"SELECT DISTINCT {', '.join(CorrectionRow._fields)} FROM corrections "
        f"WHERE corrects_source = {sql_text(source)} AND corrects_id = {sql_text(event_id)} ORDER BY queue_offset"
    )
    found = [CorrectionRow(*row) for row in rows]
    asked = [(each.queue_offset, each.receipt_day) for each in found]
    lying = places(workshop, control, session, asked) if asked else {}
    return [TracedCorrection(each, lying.get(each.queue_offset)) for each in found]
