"""The tables of the pipeline and those of the reference model, in one form, so that they compare row for row."""

from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing_pipeline_tests.metering.reference.log import Correction, Invalid, Usage
from billing_pipeline_tests.metering.reference.metering import Change, Metering, Totals
from billing_pipeline_tests.metering.reference.rollups import restated, rollups, unmetered
from billing_pipeline_tests.metering.reference.state import state_of
from billing_pipeline_tests.metering.translation import day_of, decimal_text, dimensions_text

Row = tuple[Any, ...]

FOR_EVER = 10**6
_STATE = "customer_id, project_id, unit, dimensions, billable, quantity, event_share"
_ROLLED_UP = "customer_id, project_id, meter, unit, dimensions, quantity, event_count"
_OF_APPLIED = ", ".join(
    f"CASE WHEN sign <> 0 THEN {name} END"
    for name in ("posting_day", "usage_day", "rule_version", "corrected_queue_offset", "allocation_index")
)
"""A refused correction is compared by its outcome: what else its row may show is not settled."""

COLUMNS = {
    "valid_usage_events": "receipt_day, queue_offset, kind, posting_day, usage_day, rule_version",
    "rejected_usage_events": "receipt_day, queue_offset, reason_code, field",
    "duplicate_usage_events": "receipt_day, queue_offset, outcome, counted_queue_offset, kind",
    "unique_usage_events": "receipt_day, posting_day, usage_day, rule_version, queue_offset, allocation_index, "
    + _STATE,
    "usage_corrections": f"receipt_day, queue_offset, outcome, sign, {_OF_APPLIED}, {_STATE}",
    "usage_rollups": f"posting_day, rule_version, usage_day, kind, {_ROLLED_UP}",
    "unmetered_usage": "posting_day, rule_version, usage_day, customer_id, project_id, unit, dimensions, "
    "quantity, event_count",
    "restated_rollups": f"rule_version, usage_day, {_ROLLED_UP}",
}
"""What is compared of each table, in the order of the model's rows below."""


def comparable(rows: Iterable[Row]) -> list[Row]:
    """Rows in one order, decimals as plain text, days as ISO dates."""
    return sorted((tuple(map(_plain, row)) for row in rows), key=repr)


def _plain(value: object) -> object:
    if isinstance(value, Decimal | Fraction):
        return decimal_text(Fraction(value))
    return value.isoformat() if isinstance(value, date) else value


def shown(metering: Metering, table: str, rows: Iterable[Row]) -> list[Row]:
    """The rows of a query of the pipeline; which field of a record breaks the contract is not the model's affair."""
    if table != "rejected_usage_events":
        return comparable(rows)
    invalid = {entry.offset for entry in metering.log if isinstance(entry.record, Invalid)}
    return comparable((*row[:3], "" if row[1] in invalid else row[3]) for row in rows)


def expected(metering: Metering, table: str) -> list[Row]:
    """The rows of a table as the model has them."""
    return comparable(_EXPECTED[table](metering))


def _valid(metering: Metering) -> Iterable[Row]:
    for entry in metering.valid:
        day = metering.receipt_days[entry.offset]
        if isinstance(entry.record, Usage):
            event = metering.event(entry, entry.record)
            yield (
                day_of(day),
                entry.offset,
                "usage",
                day_of(event.posting_day),
                day_of(event.usage_day),
                event.version,
            )
        else:
            yield day_of(day), entry.offset, "correction", None, None, None


def _rejected(metering: Metering) -> Iterable[Row]:
    for offset, (code, field) in metering.rejected.items():
        yield day_of(metering.receipt_days[offset]), offset, code, field


def _duplicates(metering: Metering) -> Iterable[Row]:
    records = {entry.offset: entry.record for entry in metering.valid}
    for offset, (outcome, counted) in metering.repeated.items():
        kind = "correction" if isinstance(records[offset], Correction) else "usage"
        yield day_of(metering.receipt_days[offset]), offset, outcome, counted, kind


def _unique(metering: Metering) -> Iterable[Row]:
    for event in metering.events.values():
        days = day_of(event.receipt_day), day_of(event.posting_day), day_of(event.usage_day)
        for row in _state_rows(state_of(event.usage)):
            yield *days, event.version, event.offset, *row


def _corrections(metering: Metering) -> Iterable[Row]:
    for change in metering.changes:
        if change.event is None:
            yield day_of(change.receipt_day), change.offset, change.outcome, 0, *[None] * 12
        else:
            yield from _applied(change)


def _applied(change: Change) -> Iterable[Row]:
    event = change.event
    assert event is not None
    for sign, state in ((-1, change.old), (1, change.new)):
        for index, *rest in _state_rows(state):
            yield (
                day_of(change.receipt_day),
                change.offset,
                change.outcome,
                sign,
                day_of(change.posting_day),
                day_of(event.usage_day),
                event.version,
                event.offset,
                index,
                *rest,
            )


def _state_rows(state: Any) -> Iterable[Row]:
    """Allocation index, then the columns of the state."""
    for part in state.parts():
        text = dimensions_text(state.dimensions)
        yield (
            part.index,
            part.customer,
            part.project,
            state.unit,
            text,
            state.billable,
            part.quantity,
            part.event_share,
        )


def _rollups(metering: Metering) -> Iterable[Row]:
    for (posting_day, version, usage_day, *rest, dimensions), value in rollups(metering).items():
        yield day_of(posting_day), version, day_of(usage_day), *rest, dimensions_text(dimensions), *value


def _unmetered(metering: Metering) -> Iterable[Row]:
    for (posting_day, version, usage_day, *rest, dimensions), value in unmetered(metering).items():
        yield day_of(posting_day), version, day_of(usage_day), *rest, dimensions_text(dimensions), *value


def _restated(metering: Metering) -> Iterable[Row]:
    return restated_rows(restated(metering, FOR_EVER))


def restated_rows(totals: Totals) -> Iterable[Row]:
    """Totals of the restated view as rows."""
    for (version, usage_day, *rest, dimensions), value in totals.items():
        yield version, day_of(usage_day), *rest, dimensions_text(dimensions), *value


_EXPECTED: dict[str, Callable[[Metering], Iterable[Row]]] = {
    "valid_usage_events": _valid,
    "rejected_usage_events": _rejected,
    "duplicate_usage_events": _duplicates,
    "unique_usage_events": _unique,
    "usage_corrections": _corrections,
    "usage_rollups": _rollups,
    "unmetered_usage": _unmetered,
    "restated_rollups": _restated,
}
