"""Corrections: what each action needs, and what it may not have."""

import json
from typing import Any

import pytest

from billing_pipeline.contract.parsing import faults, parse

VOID: dict[str, Any] = {
    "id": "c-1",
    "source": "support",
    "type": "correction",
    "schema_version": 2,
    "occurred_at": "2026-03-05T09:00:00Z",
    "corrects": {"source": "gateway", "id": "e-1"},
    "action": "void",
    "reason_code": "metering_error",
    "note": "counted twice\nsee the report",
    "correlation_id": "ticket-7",
}
ADJUST = VOID | {"action": "adjust", "quantity_delta": "-5.50"}
REPLACE = VOID | {
    "action": "replace",
    "replacement": {"customer_id": "globex", "quantity": 7, "dimensions": {}},
}


def payload(correction: dict[str, Any], **changes: object) -> bytes:
    merged = (correction | changes).items()
    return json.dumps({key: value for key, value in merged if value is not ...}).encode()


def test_a_void_is_kept_with_what_it_corrects() -> None:
    """It has no customer, unit or quantity of its own."""
    record = parse(payload(VOID))
    assert record.kind == "correction"
    assert (record.corrects_source, record.corrects_id, record.action) == ("gateway", "e-1", "void")
    assert (record.customer_id, record.unit, record.quantity, record.quantity_delta) == (
        None,
        None,
        None,
        None,
    )
    assert record.note == "counted twice\nsee the report"


def test_an_adjustment_has_a_signed_delta() -> None:
    """The delta is normalized like a quantity."""
    assert parse(payload(ADJUST)).quantity_delta == "-5.5"
    assert parse(payload(ADJUST, quantity_delta=12)).quantity_delta == "12"


def test_a_replacement_is_kept_canonically() -> None:
    """Keys sorted, the quantity normalized, empty dimensions kept since they replace some."""
    assert parse(payload(REPLACE)).replacement == '{"customer_id":"globex","dimensions":{},"quantity":"7"}'
    text = payload(REPLACE, replacement={"quantity": "7.0", "customer_id": "globex", "dimensions": {}})
    assert parse(text).payload_digest == parse(payload(REPLACE)).payload_digest


@pytest.mark.parametrize("version", [1, 2])
def test_both_schema_versions_have_corrections(version: int) -> None:
    """A correction is the same in both."""
    record = parse(payload(VOID, schema_version=version))
    assert (record.schema_version, record.payload_digest) == (version, parse(payload(VOID)).payload_digest)


@pytest.mark.parametrize(
    ("correction", "changes", "code", "field"),
    [
        (VOID, {"corrects": ...}, "correction_without_original", "corrects"),
        (VOID, {"corrects": {"source": "gateway"}}, "correction_without_original", "corrects.id"),
        (VOID, {"corrects": "e-1"}, "wrong_type", "corrects"),
        (VOID, {"corrects": {"source": "g", "id": "e", "x": 1}}, "unknown_field", "corrects.x"),
        (VOID, {"action": "delete"}, "unknown_action", "action"),
        (VOID, {"action": ...}, "missing_field", "action"),
        (VOID, {"quantity_delta": "1"}, "field_not_of_action", "quantity_delta"),
        (VOID, {"replacement": {"unit": "x"}}, "field_not_of_action", "replacement"),
        (VOID, {"reason_code": ...}, "missing_reason_code", "reason_code"),
        (VOID, {"reason_code": "customer_usage"}, "unknown_reason_code", "reason_code"),
        (VOID, {"customer_id": "acme"}, "unknown_field", "customer_id"),
        (VOID, {"note": "x" * 2001}, "too_long", "note"),
        (VOID, {"note": "\x07"}, "invalid_character", "note"),
        (ADJUST, {"quantity_delta": ...}, "missing_field", "quantity_delta"),
        (ADJUST, {"quantity_delta": 0.5}, "float_quantity", "quantity_delta"),
        (ADJUST, {"replacement": {"unit": "x"}}, "field_not_of_action", "replacement"),
        (REPLACE, {"replacement": ...}, "missing_field", "replacement"),
        (REPLACE, {"replacement": {}}, "empty", "replacement"),
        (REPLACE, {"replacement": {"unit": None}}, "empty", "replacement"),
        (REPLACE, {"replacement": {"id": "x"}}, "unknown_field", "replacement.id"),
        (REPLACE, {"replacement": {"quantity": "-1"}}, "negative_quantity", "replacement.quantity"),
        (REPLACE, {"replacement": {"billable": 1}}, "wrong_type", "replacement.billable"),
        (REPLACE, {"replacement": {"customer_id": "a/b"}}, "invalid_character", "replacement.customer_id"),
    ],
)
def test_a_fault_of_a_correction_is_named(
    correction: dict[str, Any], changes: dict[str, object], code: str, field: str
) -> None:
    """Each rule has its code and says the field."""
    data = payload(correction, **changes)
    assert (code, field) in [(fault.reason_code.value, fault.field) for fault in faults(data)]
    assert parse(data).kind == "invalid"
