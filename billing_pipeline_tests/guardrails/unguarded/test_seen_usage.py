"""What is read of the log's lines, in both of their forms."""

import hashlib
import json

import pytest
from hypothesis import given, settings

from billing_pipeline.contract.door import Admitted, admit
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.log_lines import plain_line, record_line
from billing_pipeline.contract.parsing import parse
from billing_pipeline.guardrails.unguarded.seen_usage import Payer, event_key, seen_usage
from billing_pipeline.guardrails.usage import Usage
from billing_pipeline_tests.contract.made_events import event_payloads, plain_payloads

EVENT = {
    "type": "usage",
    "schema_version": 2,
    "source": "product",
    "id": "e-1",
    "customer_id": "acme",
    "project_id": "p",
    "occurred_at": "2026-11-28T12:00:00Z",
    "unit": "token",
    "quantity": "1000",
    "dimensions": {"model": "m"},
    "correlation_id": "c",
    "session_id": "run-7",
}


def line_of(event: dict[str, object]) -> bytes:
    """The line that the log keeps of a valid event."""
    admitted = admit(json.dumps(event).encode())
    assert isinstance(admitted, Admitted)
    return admitted.line


def test_a_plain_event_is_read() -> None:
    """Identity, instant, session, payer and quantity."""
    seen = seen_usage(line_of(EVENT))
    assert seen is not None
    assert seen.key == hashlib.sha256(b"product\0e-1").hexdigest()[:32] == event_key("product", "e-1")
    assert (seen.session_id, seen.correlation_id, seen.is_billable) == ("run-7", "c", True)
    assert seen.payers == (
        Payer("acme", "p", Usage(unit="token", quantity="1000", dimensions={"model": "m"})),
    )


def test_an_event_of_several_payers_is_read_share_by_share() -> None:
    """Each with its exact part of the quantity."""
    shares = [
        {"customer_id": "acme", "project_id": "p", "share": "0.75"},
        {"customer_id": "bolt", "project_id": "q", "share": "0.25"},
    ]
    seen = seen_usage(line_of(EVENT | {"allocations": shares}))
    assert seen is not None
    assert [(each.customer_id, each.project_id, each.usage.quantity) for each in seen.payers] == [
        ("acme", "p", "750"),
        ("bolt", "q", "250"),
    ]


@pytest.mark.parametrize(
    "record",
    [
        parse(b"{}"),
        parse(
            b'{"type": "correction", "schema_version": 2, "source": "s", "id": "i", "action": "void", '
            b'"occurred_at": "2026-11-28T12:00:00Z", "corrects": {"source": "product", "id": "e-1"}, '
            b'"reason_code": "goodwill"}'
        ),
        LogRecord(kind="control", payload="{}", entity="customer", entity_id="acme", change="register"),
    ],
    ids=lambda record: record.kind,
)
def test_anything_else_is_none(record: LogRecord) -> None:
    """Invalid records, corrections and registry changes are no usage to count."""
    assert seen_usage(record_line(record)) is None


@settings(deadline=None)  # a busy machine is no fault
@given(plain_payloads())
def test_both_forms_of_a_line_say_the_same(payload: bytes) -> None:
    """The short way reads what the contract parses."""
    assert seen_usage(plain_line(payload)) == seen_usage(record_line(parse(payload)))


@settings(deadline=None)  # a busy machine is no fault
@given(event_payloads())
def test_every_line_of_the_log_can_be_read(payload: bytes) -> None:
    """Whatever the door let in, or kept as invalid."""
    admitted = admit(payload)
    line = admitted.line if isinstance(admitted, Admitted) else record_line(admitted)
    seen = seen_usage(line)
    assert (seen is None) == (parse(payload).kind != "usage")
