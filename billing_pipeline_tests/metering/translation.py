"""The reference model's values as the pipeline's: records of the log and rule books."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any, cast

import msgspec

from billing_pipeline.contract.instants import datetime_of, instant_text
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.parsing import parse, parse_value
from billing_pipeline.contract.registry import RegistryChange, control_record
from billing_pipeline.rating import rule_book
from billing_pipeline_tests.metering.reference.log import (
    Book,
    Control,
    Correction,
    Dimensions,
    Entry,
    Invalid,
    Meter,
    Record,
    Replacement,
    Usage,
)

EPOCH = date(1970, 1, 1)


def decimal_text(value: Fraction, zeros: int = 0) -> str:
    """A decimal of at most 18 fractional digits, as plain text; with zeros behind a fraction, up to nine digits."""
    digits = next(count for count in range(19) if (value * 10**count).denominator == 1)
    units = abs(value * 10**digits).numerator
    text = str(units).rjust(digits + 1, "0")
    text = f"{text[:-digits]}.{text[-digits:]}{'0' * min(zeros, 9 - digits)}" if digits else text
    return f"-{text}" if value < 0 else text


def day_of(number: int) -> date:
    """A day of the model as a date."""
    return EPOCH + timedelta(days=number)


def dimensions_text(dimensions: Dimensions) -> str:
    """Dimensions as the tables show them."""
    return json.dumps(dict(dimensions), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def entries_of(log: Sequence[Entry]) -> list[tuple[str, LogRecord]]:
    """A log as the receipt times and records that the queue is given."""
    return [(instant_text(entry.received_at), _logged(entry)) for entry in log]


def _logged(entry: Entry) -> LogRecord:
    record = record_of(entry.record, entry.offset)
    if entry.first_received_at is None:
        return record
    return msgspec.structs.replace(record, first_received_at=entry.first_received_at, requeued_offset=0)


def record_of(record: Record, number: int) -> LogRecord:
    """A record as the contract parses it; `number` names a control record."""
    if isinstance(record, Invalid):
        return parse(record.payload)
    if isinstance(record, Control):
        moment = datetime_of(record.effective_from)
        change = RegistryChange(
            cast("Any", record.entity), record.entity_id, cast("Any", record.change), moment
        )
        return control_record(change, f"change-{number}")
    fields = _usage_fields(record) if isinstance(record, Usage) else _correction_fields(record)
    return parse_value(_without_none(fields))


def _usage_fields(usage: Usage) -> dict[str, object]:
    return {
        "type": "usage",
        "schema_version": 2,
        "source": usage.source,
        "id": usage.id,
        "customer_id": usage.customer,
        "project_id": usage.project,
        "occurred_at": instant_text(usage.occurred_at),
        "emitted_at": None if usage.emitted_at is None else instant_text(usage.emitted_at),
        "unit": usage.unit,
        "quantity": decimal_text(usage.quantity, usage.zeros),
        "dimensions": dict(usage.dimensions) or None,
        "billable": usage.billable,
        "reason_code": None if usage.billable else "trial",
        "user_id": usage.user_id,
        "session_id": usage.session_id,
        "correlation_id": usage.correlation_id,
        "allocations": [
            {"customer_id": each.customer, "project_id": each.project, "share": decimal_text(each.share)}
            for each in usage.shares
        ]
        or None,
    }


def _correction_fields(correction: Correction) -> dict[str, object]:
    source, event_id = correction.corrects
    return {
        "type": "correction",
        "schema_version": 2,
        "source": correction.source,
        "id": correction.id,
        "occurred_at": instant_text(correction.occurred_at),
        "emitted_at": None if correction.emitted_at is None else instant_text(correction.emitted_at),
        "corrects": {"source": source, "id": event_id},
        "action": correction.action,
        "reason_code": "metering_error",
        "quantity_delta": None if correction.delta is None else decimal_text(correction.delta),
        "replacement": None
        if correction.replacement is None
        else _replacement_fields(correction.replacement),
        "note": correction.note,
    }


def _replacement_fields(named: Replacement) -> dict[str, object]:
    return _without_none(
        {
            "customer_id": named.customer,
            "project_id": named.project,
            "unit": named.unit,
            "dimensions": None if named.dimensions is None else dict(named.dimensions),
            "billable": named.billable,
            "quantity": None if named.quantity is None else decimal_text(named.quantity),
        }
    )


def _without_none(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def books_of(books: Sequence[Book]) -> rule_book.RuleBooks:
    """Rule books as the pipeline knows them; nothing is sold under them."""
    return rule_book.RuleBooks(
        tuple(
            rule_book.RuleBook(
                version=book.version,
                effective_from=datetime.fromtimestamp(0, UTC) + timedelta(microseconds=book.effective_from),
                content_hash=book.version,
                units=frozenset(book.units),
                meters={meter.name: _meter_of(meter) for meter in book.meters},
                plans={},
                close_policy=rule_book.ClosePolicy(
                    grace_minutes=book.grace_minutes,
                    late_window_days=book.late_window_days,
                    late_policy="reject" if book.rejects_late else "adjust",
                    dedup_window_days=book.dedup_window_days,
                ),
            )
            for book in books
        )
    )


def _meter_of(meter: Meter) -> rule_book.Meter:
    more: dict[str, Any] = {} if meter.distinct is None else {"distinct": meter.distinct}
    return rule_book.Meter(
        name=meter.name,
        unit=meter.unit,
        aggregation=cast("rule_book.Aggregation", meter.aggregation),
        group_by=meter.group_by,
        filter={name: frozenset(values) for name, values in meter.only},
        **more,
    )
