"""CloudEvents 1.0: the same events in another envelope."""

import json
from typing import Any

import pytest

from billing_pipeline.contract.cloudevents import split_batch
from billing_pipeline.contract.parsing import faults, parse

OWN: dict[str, Any] = {
    "id": "e-1",
    "source": "gateway",
    "type": "usage",
    "schema_version": 2,
    "customer_id": "acme",
    "project_id": "bot",
    "occurred_at": "2026-03-01T12:00:00Z",
    "unit": "token",
    "quantity": "100",
    "correlation_id": "r-1",
}
CLOUD: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "gateway",
    "type": "com.example.usage",
    "subject": "acme",
    "time": "2026-03-01T12:00:00Z",
    "correlationid": "r-1",
    "recordedtime": "2026-03-01T12:00:02Z",
    "datacontenttype": "application/json; charset=utf-8",
    "traceparent": "00-ab-cd-01",
    "data": {"schema_version": 2, "project_id": "bot", "unit": "token", "quantity": 100},
}


def test_a_cloudevent_is_the_same_event() -> None:
    """Both forms have one digest and one identity."""
    own, cloud = parse(json.dumps(OWN).encode()), parse(json.dumps(CLOUD).encode())
    assert cloud.kind == "usage", cloud.fault_message
    assert (cloud.payload_digest, cloud.key_hash) == (own.payload_digest, own.key_hash)
    assert cloud.customer_id == "acme"


def test_a_correction_comes_as_a_cloudevent() -> None:
    """The rest of it stands in data."""
    event = {
        "specversion": "1.0",
        "id": "c-1",
        "source": "support",
        "type": "correction",
        "time": "2026-03-01T12:00:00Z",
        "data": {
            "schema_version": 2,
            "corrects": {"source": "gateway", "id": "e-1"},
            "action": "void",
            "reason_code": "dispute",
        },
    }
    assert parse(json.dumps(event).encode()).kind == "correction"


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"specversion": "0.3"}, "invalid_envelope", "specversion"),
        ({"data": None}, "invalid_envelope", "data"),
        ({"data_base64": "e30="}, "invalid_envelope", "data_base64"),
        ({"datacontenttype": "text/xml"}, "invalid_envelope", "datacontenttype"),
        ({"Trace-Id": "x"}, "unknown_field", "Trace-Id"),
        ({"trace": {"id": 1}}, "wrong_type", "trace"),
        ({"data": CLOUD["data"] | {"customer_id": "globex"}}, "contradicting_fields", "customer_id"),
        ({"subject": None}, "missing_field", "customer_id"),
        ({"type": "com.example.login"}, "unknown_type", "type"),
    ],
)
def test_a_fault_of_the_envelope_is_named(changes: dict[str, object], code: str, field: str) -> None:
    """The rules of the envelope have codes like any other."""
    data = json.dumps(CLOUD | changes).encode()
    assert (code, field) in [(fault.reason_code.value, fault.field) for fault in faults(data)]


def test_a_batch_is_split_into_the_bytes_of_its_events() -> None:
    """Each event of a batch keeps its own bytes; what is no batch is left whole."""
    one, two = json.dumps(CLOUD).encode(), json.dumps(CLOUD | {"id": "e-2"}, indent=1).encode()
    assert split_batch(b" [" + one + b" ,\n" + two + b"]") == [one, two]
    assert split_batch(b"[]") == []
    assert split_batch(one) == [one]
    assert split_batch(b"[" + one) == [b"[" + one]
    assert split_batch(b"[" * 100_000) == [b"[" * 100_000]
