"""The door: what the queue keeps of an event, and what comes back for one that breaks the contract."""

import json

import pytest
from hypothesis import given, settings

from billing_pipeline.contract.door import Admitted, admit
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.log_lines import body_of, read_line, record_line
from billing_pipeline.contract.parsing import parse
from billing_pipeline.contract.plain_usage import plain_usage
from billing_pipeline_tests.contract.made_events import BASE, event_payloads

CORRECTION = {
    "id": "c-1",
    "source": "ops",
    "type": "correction",
    "schema_version": 2,
    "occurred_at": "2026-03-02T00:00:00Z",
    "corrects": {"source": "gateway", "id": "e-1"},
    "action": "replace",
    "replacement": {"customer_id": "globex", "project_id": "p"},
    "reason_code": "wrong_customer",
}
SHARED = BASE | {
    "allocations": [
        {"customer_id": "acme", "project_id": "bot", "share": "0.5"},
        {"customer_id": "globex", "project_id": "p", "share": "0.5"},
    ]
}


def encoded(event: object) -> bytes:
    return json.dumps(event).encode()


def test_a_plain_event_is_kept_as_it_came() -> None:
    payload = encoded(BASE)
    assert admit(payload) == Admitted(b"=" + payload, "gateway", ("acme",))


@pytest.mark.parametrize(
    "change",
    [
        {"quantity": "10"},
        {"customer_id": "café"},
        {"occurred_at": "2026-03-01T12:00:00+02:00"},
        {"occurred_at": "2026-03-01T12:00:00.1234567Z"},
        {"user_id": 'a"b'},
        {"allocations": SHARED["allocations"]},
        {"quantity": 10**28},
    ],
    ids=str,
)
def test_what_sql_would_read_otherwise_is_parsed_at_the_door(change: dict[str, object]) -> None:
    """A line of either form gives the same record, and only what SQL reads alike stays as it came."""
    payload = json.dumps(BASE | change, ensure_ascii=False).encode()
    admitted = admit(payload)
    assert isinstance(admitted, Admitted)
    assert admitted.line.startswith(b"=") is (change == {"quantity": "10"})
    assert read_line(admitted.line) == parse(payload)


def test_every_customer_that_an_event_names_is_told() -> None:
    shared, correction = admit(encoded(SHARED)), admit(encoded(CORRECTION))
    assert isinstance(shared, Admitted)
    assert isinstance(correction, Admitted)
    assert shared.payers == ("acme", "globex")
    assert (correction.source, correction.payers) == ("ops", ("globex",))


def test_an_event_with_faults_comes_back_with_all_of_them() -> None:
    refused = admit(encoded({**BASE, "quantity": 1.5, "unit": ""}))
    assert isinstance(refused, LogRecord)
    assert (refused.kind, refused.fault_field) == ("invalid", "unit")
    assert "quantity" in str(refused.fault_message)
    assert read_line(record_line(refused)) == refused


@settings(max_examples=300, deadline=None)
@given(event_payloads())
def test_the_door_decides_as_the_contract_does(payload: bytes) -> None:
    """What is plain has no fault, and whatever is admitted reads back as the record of its bytes."""
    record, admitted = parse(payload), admit(payload)
    if plain_usage(payload) is not None:
        assert record.kind == "usage"
    if isinstance(admitted, Admitted):
        assert read_line(admitted.line) == record
        assert admitted.source == record.source
    else:
        assert admitted == record
        assert record.kind == "invalid"


def test_a_body_has_a_line_for_each_record() -> None:
    assert body_of([b"=a", b"b"]).lines == b"=a\nb\n"
    assert body_of([]).count == 0
