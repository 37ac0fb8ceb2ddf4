"""Records of the log as evidence: where each lies, file and landing, and what became of it."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from billing_pipeline.audit.raw_log import landed_log
from billing_pipeline.audit.values import sql_text
from billing_pipeline.contract.canonical import key_hash_of
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.stage import Workshop, scan
from billing_pipeline.schemas.table import Column, ColumnType, Table
from billing_pipeline.schemas.tables import (
    DUPLICATE_USAGE_EVENTS,
    RAW_USAGE_EVENTS,
    REGISTRY_CHANGES,
    REJECTED_USAGE_EVENTS,
    UNIQUE_USAGE_EVENTS,
    USAGE_CORRECTIONS,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from billing_pipeline.control.landings import Landing

OFFSET_COLUMNS = (Column("queue_offset", ColumnType.WHOLE, "asked for"),)


class LogRow(NamedTuple):
    """A record of the raw table; fields as its columns."""

    queue_offset: int
    receipt_day: date
    received_at: datetime
    producer: str
    first_received_at: datetime | None
    requeued_offset: int | None
    kind: str
    source: str | None
    id: str | None
    correlation_id: str | None
    customer_id: str | None
    project_id: str | None
    session_id: str | None
    parent_id: str | None
    step: str | None
    occurred_at: datetime | None
    unit: str | None
    quantity: Decimal | None
    dimensions: str | None
    billable: bool | None
    reason_code: str | None
    payload_digest: bytes | None
    corrects_source: str | None
    corrects_id: str | None
    action: str | None


class Outcome(NamedTuple):
    """What became of a record: where it stands now, and why.

    `name` is counted, duplicate, conflict, rejected, control, the outcome of a correction, or pending: its receipt day
    has not been worked through yet.
    """

    name: str
    reason_code: str | None = None
    field: str | None = None
    value: str | None = None
    message: str | None = None
    counted_queue_offset: int | None = None
    counted_receipt_day: date | None = None


class Place(NamedTuple):
    """Where a record lies: the data file, and the landing that wrote it (None where it has no link of a chain)."""

    file: str
    snapshot_id: str | None
    first_offset: int | None
    next_offset: int | None
    chain: str | None


@dataclass(frozen=True)
class TracedRecord:
    """A record with its evidence."""

    record: LogRow
    place: Place | None
    outcome: Outcome


def records_of_event(workshop: Workshop, control: "Engine", source: str, event_id: str) -> list[TracedRecord]:
    """Every record that ever came under an identity, in the order of the log."""
    condition = (
        f"source = {sql_text(source)} AND id = {sql_text(event_id)} "
        f"AND coalesce(key_hash, {key_hash_of(source, event_id)}) = {key_hash_of(source, event_id)}"
    )
    return _traced(workshop, control, condition)


def records_of_session(
    workshop: Workshop, control: "Engine", session_id: str, most: int
) -> list[TracedRecord]:
    """The usage of an agent run, in the order of the log; at most so many records."""
    return _traced(workshop, control, f"session_id = {sql_text(session_id)}", most)


def places(
    workshop: Workshop, control: "Engine", session: Session, offsets: Iterable[tuple[int, date]]
) -> dict[int, Place]:
    """Where records lie, by offset; each is asked for with its receipt day."""
    asked = dict(offsets)
    log = landed_log(workshop, control)
    starts = [landing.first_offset for landing in log.landings]
    landing_of = {
        offset: log.landings[place] for offset in asked if (place := bisect_right(starts, offset) - 1) >= 0
    }
    written = {file.name for landing in landing_of.values() for file in landing.files}
    found: dict[int, Place] = {}
    session.load("asked", OFFSET_COLUMNS, [(offset,) for offset in asked])
    for file in workshop.lake.files(RAW_USAGE_EVENTS, set(asked.values())):
        if log.landings and Path(file.path).name not in written:
            continue
        session.scan("candidate", RAW_USAGE_EVENTS, [file.path])
        rows = session.rows(
            "SELECT queue_offset FROM candidate WHERE queue_offset IN (SELECT queue_offset FROM asked)"
        )
        found |= {int(str(row[0])): _place(file.path, landing_of.get(int(str(row[0])))) for row in rows}
    return found


def _place(path: str, landing: "Landing | None") -> Place:
    if landing is None:
        return Place(path, None, None, None, None)
    return Place(path, landing.snapshot_id, landing.first_offset, landing.next_offset, landing.chain)


def _traced(
    workshop: Workshop, control: "Engine", condition: str, most: int | None = None
) -> list[TracedRecord]:
    with workshop.engine.session() as session:
        scan(workshop, session, "raw", RAW_USAGE_EVENTS)
        limit = "" if most is None else f" LIMIT {most}"
        columns = ", ".join(LogRow._fields)
        rows: list[Any] = session.rows(
            f"SELECT {columns} FROM raw WHERE {condition} ORDER BY queue_offset{limit}"
        )
        records = [LogRow(*row) for row in rows]
        if not records:
            return []
        found = places(
            workshop, control, session, [(each.queue_offset, each.receipt_day) for each in records]
        )
        outcomes = _outcomes(workshop, session, records)
    return [
        TracedRecord(each, found.get(each.queue_offset), outcomes.get(each.queue_offset, Outcome("pending")))
        for each in records
    ]


_OUTCOMES: tuple[tuple[Table, str], ...] = (
    (REGISTRY_CHANGES, "'control'"),
    (REJECTED_USAGE_EVENTS, "'rejected', reason_code, field, value, message"),
    (UNIQUE_USAGE_EVENTS, "'counted', reason_code"),
    (
        DUPLICATE_USAGE_EVENTS,
        "outcome, NULL, NULL, NULL, NULL, counted_queue_offset, counted_receipt_day",
    ),
    (USAGE_CORRECTIONS, "outcome, reason_code"),
)


def _outcomes(workshop: Workshop, session: Session, records: Sequence[LogRow]) -> dict[int, Outcome]:
    """What became of some records, by offset."""
    days = {each.receipt_day for each in records}
    session.load("asked", OFFSET_COLUMNS, [(each.queue_offset,) for each in records])
    found: dict[int, Outcome] = {}
    for table, columns in _OUTCOMES:
        scan(workshop, session, "outcomes", table, days)
        rows: list[Any] = session.rows(
            f"SELECT DISTINCT queue_offset, {columns} FROM outcomes "
            "WHERE queue_offset IN (SELECT queue_offset FROM asked)"
        )
        found |= {offset: Outcome(*rest) for offset, *rest in rows}
    return found
