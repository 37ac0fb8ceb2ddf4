"""Corrections: reads what it takes to judge those of some receipt days, and names what they book as relations."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Any

from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.correction_chain import ChainRecord, CorrectionChain, Identity, Judged
from billing_pipeline.metering.effective import EffectiveState, Known
from billing_pipeline.metering.registry_relations import registry_as_known
from billing_pipeline.metering.stage import SQL, Workshop, scan
from billing_pipeline.schemas.table import Column, ColumnType
from billing_pipeline.schemas.tables import (
    RAW_USAGE_EVENTS,
    USAGE_CORRECTION_KEYS,
    USAGE_CORRECTIONS,
    USAGE_EVENT_KEYS,
    VALID_USAGE_EVENTS,
)

VERDICT_COLUMNS = (
    Column("queue_offset", ColumnType.WHOLE, "a correction that repeats an earlier record"),
    Column(
        "counted_queue_offset", ColumnType.WHOLE, "the applied one that it repeats, or none", nullable=True
    ),
    Column("counted_receipt_day", ColumnType.DAY, "its receipt day", nullable=True),
)
_FIELDS = ", ".join(ChainRecord._fields)


def apply_corrections(workshop: Workshop, session: Session, days: Sequence[date]) -> None:
    """Name `corrections` (rows of `usage_corrections`) and `correction_verdicts` of some receipt days."""
    last = max(days)
    keys = [file for file in workshop.lake.files(USAGE_CORRECTION_KEYS) if file.key.day <= last]
    rows: list[tuple[object, ...]] = []
    repeats: list[tuple[object, ...]] = []
    if any(file.key.day in set(days) for file in keys):
        session.scan("all_correction_keys", USAGE_CORRECTION_KEYS, [file.path for file in keys])
        records = _chain_records(workshop, session, last)
        known = _known(workshop, session, last)
        requeued = _requeued(workshop, session, last)
        verdicts = CorrectionChain(records, workshop.calendar.dedup_window_days, known, requeued).judge(days)
        rows = [row for judged in verdicts.judged for row in _rows(judged)]
        repeats = [
            (offset, applied and applied.queue_offset, applied and applied.receipt_day)
            for offset, applied in verdicts.repeats.items()
        ]
    session.load("corrections", USAGE_CORRECTIONS.columns, rows)
    session.load("correction_verdicts", VERDICT_COLUMNS, repeats)


def _chain_records(workshop: Workshop, session: Session, last: date) -> list[ChainRecord]:
    session.keep("chain_keys", SQL / "chain_keys.sql")
    keys = [file.path for file in workshop.lake.files(USAGE_EVENT_KEYS) if file.key.day <= last]
    session.scan("event_keys", USAGE_EVENT_KEYS, keys)
    session.keep("chain_offsets", SQL / "chain_offsets.sql")
    touched = [row[0] for row in session.rows("SELECT DISTINCT receipt_day FROM chain_offsets")]
    in_days = [day for day in touched if isinstance(day, date)]
    scan(workshop, session, "chain_valid", VALID_USAGE_EVENTS, in_days)
    query = (
        f"SELECT {_FIELDS} FROM chain_valid WHERE queue_offset IN (SELECT queue_offset FROM chain_offsets)"
    )
    rows: Iterator[tuple[Any, ...]] = (row for chunk in session.chunks(query) for row in chunk)
    return [ChainRecord(*row) for row in rows]


def _requeued(workshop: Workshop, session: Session, last: date) -> dict[Identity, date]:
    """Since when identities have been sent again: of use only where others expire."""
    files = [file for file in workshop.lake.files(RAW_USAGE_EVENTS) if file.key.day <= last]
    if all(workshop.calendar.dedup_window_days(file.key.day) is None for file in files):
        return {}
    session.scan("raw", RAW_USAGE_EVENTS, [file.path for file in files])
    session.define("requeued", SQL / "requeued.sql")
    rows = session.rows("SELECT source, id, since FROM requeued")
    return {(str(source), str(name)): since for source, name, since in rows if isinstance(since, date)}


def _known(workshop: Workshop, session: Session, last: date) -> Callable[[int, str], Known]:
    """What is registered below an offset; closing changes nothing, for no correction is refused because of it."""
    customer_rows, project_rows = registry_as_known(workshop, session, last)
    customers = {str(row[0]): int(str(row[1])) for row in customer_rows}
    projects: dict[tuple[str, str], int] = {}
    for row in project_rows:
        key, offset = (str(row[0]), str(row[1])), int(str(row[2]))
        projects[key] = min(offset, projects.get(key, offset))

    def known(offset: int, rule_version: str) -> Known:
        book = workshop.books.get(rule_version)
        return Known(
            customer=lambda customer_id: customers.get(customer_id, offset) < offset,
            project=lambda customer_id, project_id: projects.get((customer_id, project_id), offset) < offset,
            unit=lambda unit: book is not None and unit in book.units,
        )

    return known


def _rows(judged: Judged) -> Iterator[tuple[object, ...]]:
    """The rows of one correction: what the event was, with sign -1, and what it is now, with sign +1."""
    original = judged.original
    if original is None or original.usage_day is None or judged.before is None or judged.after is None:
        yield _row(judged, 0, (None,) * 9)
        return
    for sign, state in ((-1, judged.before), (1, judged.after)):
        yield from _booked(judged, sign, original, state)


def _booked(
    judged: Judged, sign: int, original: ChainRecord, state: EffectiveState
) -> Iterator[tuple[object, ...]]:
    for part in state.parts():
        booked = (
            original.rule_version,
            part.customer_id,
            part.project_id,
            state.unit,
            part.quantity,
            state.dimensions,
            state.billable,
            part.allocation_index,
            part.event_share,
        )
        yield _row(judged, sign, booked)


def _row(judged: Judged, sign: int, booked: tuple[object, ...]) -> tuple[object, ...]:
    """In the order of the table's columns."""
    correction, original = judged.correction, judged.original
    usage_day = original.usage_day if original is not None and sign else None
    posting_day = None if usage_day is None else max(usage_day, correction.receipt_day)
    return (
        correction.receipt_day,
        posting_day,
        usage_day,
        correction.queue_offset,
        correction.received_at,
        correction.source,
        correction.id,
        correction.corrects_source,
        correction.corrects_id,
        None if original is None else original.queue_offset,
        correction.action,
        judged.outcome.value,
        correction.reason_code,
        correction.quantity_delta,
        correction.replacement,
        correction.note,
        correction.correlation_id,
        sign,
        *booked,
    )
