"""The events and corrections behind a line, and what its usage days come to."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from billing_pipeline.audit.explain.explanation import Correction, DayQuantity, Event
from billing_pipeline.audit.trace_line import EvidenceRow, LineTrace
from billing_pipeline.audit.trace_rows import RollupRow
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.stage import Workshop, scan
from billing_pipeline.rating.money import EXACT
from billing_pipeline.schemas.table import Column, ColumnType
from billing_pipeline.schemas.tables import UNIQUE_USAGE_EVENTS, USAGE_CORRECTIONS

OFFSETS = (Column("queue_offset", ColumnType.WHOLE, "place in the log"),)


def day_quantities(rollups: Iterable[RollupRow]) -> tuple[DayQuantity, ...]:
    """By usage day what was metered how; a max or unique count has its marginal changes here."""
    found: dict[date, dict[str, Decimal]] = {}
    events: dict[date, int] = {}
    for row in rollups:
        kinds = found.setdefault(row.usage_day, dict.fromkeys(("on_time", "late", "correction"), Decimal()))
        kinds[row.kind] = EXACT.add(kinds[row.kind], row.quantity)
        events[row.usage_day] = events.get(row.usage_day, 0) + row.event_count
    return tuple(
        DayQuantity(
            day,
            **kinds,
            total=EXACT.add(EXACT.add(kinds["on_time"], kinds["late"]), kinds["correction"]),
            events=events[day],
        )
        for day, kinds in sorted(found.items())
    )


def booked_events(workshop: Workshop, session: Session, trace: LineTrace) -> tuple[Event, ...]:
    """All events and rows of corrections that count into the line, in the order of the log."""
    occurred = _occurred(workshop, session, trace.events)
    return tuple(
        Event(
            each.booking.kind,
            each.source,
            each.id,
            each.correlation_id or "",
            occurred.get(each.booking.event_offset) if each.booking.origin == "event" else None,
            each.received_at,
            each.booking.usage_day,
            each.booking.posting_day,
            each.booking.sign,
            each.booking.quantity,
            each.booking.unit,
            each.booking.dimensions,
        )
        for each in trace.events
    )


def _occurred(workshop: Workshop, session: Session, rows: Sequence[EvidenceRow]) -> dict[int, datetime]:
    events = {each.booking.event_offset: each.booking for each in rows if each.booking.origin == "event"}
    if not events:
        return {}
    scan(workshop, session, "counted", UNIQUE_USAGE_EVENTS, {each.receipt_day for each in events.values()})
    session.load("asked", OFFSETS, [(offset,) for offset in sorted(events)])
    found: list[Any] = session.rows(
        "SELECT DISTINCT queue_offset, occurred_at FROM counted "
        "WHERE queue_offset IN (SELECT queue_offset FROM asked)"
    )
    return {int(offset): occurred_at for offset, occurred_at in found}


def corrections(workshop: Workshop, session: Session, trace: LineTrace) -> tuple[Correction, ...]:
    """The corrections among the evidence, each with what the event counted for in this line before and after it."""
    booked: dict[int, dict[int, Decimal]] = {}
    days: dict[int, date] = {}
    for each in trace.events:
        if each.booking.origin != "correction":
            continue
        offset, sign = each.booking.queue_offset, each.booking.sign
        sums = booked.setdefault(offset, {-1: Decimal(), 1: Decimal()})
        sums[sign] = EXACT.add(sums[sign], each.booking.quantity)
        days[offset] = each.booking.receipt_day
    if not booked:
        return ()
    scan(workshop, session, "corrected", USAGE_CORRECTIONS, set(days.values()))
    session.load("asked", OFFSETS, [(offset,) for offset in sorted(booked)])
    rows: list[Any] = session.rows(
        "SELECT DISTINCT queue_offset, source, id, corrects_source, corrects_id, action, reason_code, received_at, "
        "posting_day FROM corrected WHERE queue_offset IN (SELECT queue_offset FROM asked) AND sign <> 0 "
        "ORDER BY queue_offset"
    )
    return tuple(Correction._make([*rest, booked[offset][-1], booked[offset][1]]) for offset, *rest in rows)
