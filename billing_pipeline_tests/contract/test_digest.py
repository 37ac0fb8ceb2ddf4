"""The digest tells what happened, not how it was written or sent."""

import hashlib
import json
from typing import Any

import pytest

from billing_pipeline.contract.canonical import key_hash_of
from billing_pipeline.contract.parsing import parse

EVENT: dict[str, Any] = {
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
    "dimensions": {"a": "1", "b": "2"},
}


def digest(event: dict[str, Any]) -> str:
    record = parse(json.dumps(event).encode())
    assert record.kind != "invalid", record.fault_message
    return record.payload_digest or ""


@pytest.mark.parametrize(
    "changes",
    [
        {"quantity": 100},
        {"quantity": "100.0"},
        {"quantity": "00100.000"},
        {"occurred_at": "2026-03-01T14:00:00+02:00"},
        {"occurred_at": "2026-03-01 12:00:00.0000009z"},
        {"schema_version": 1},
        {"emitted_at": "2026-03-01T12:00:01Z"},
        {"received_at": "2026-03-01T12:00:01Z"},
        {"billable": True},
        {"step": None},
        {"dimensions": {"b": "2", "a": "1"}},
    ],
)
def test_the_same_event_has_the_same_digest(changes: dict[str, Any]) -> None:
    """Notation, schema version and sending do not matter."""
    assert digest(EVENT | changes) == digest(EVENT)


@pytest.mark.parametrize(
    "changes",
    [
        {"quantity": "100.000000001"},
        {"occurred_at": "2026-03-01T12:00:00.000001Z"},
        {"id": "e-2"},
        {"user_id": "u"},
        {"step": "completion"},
        {"billable": False, "reason_code": "trial"},
        {"dimensions": {"a": "1"}},
        {"allocations": [{"customer_id": "acme", "project_id": "bot", "share": "1"}]},
    ],
)
def test_another_event_has_another_digest(changes: dict[str, Any]) -> None:
    """Whatever can change an invoice or an explanation changes the digest."""
    assert digest(EVENT | changes) != digest(EVENT)


def test_no_dimensions_and_empty_dimensions_are_the_same() -> None:
    """A default left out is the default."""
    without = {name: value for name, value in EVENT.items() if name != "dimensions"}
    assert digest(EVENT | {"dimensions": {}}) == digest(without)


def test_the_digest_is_as_documented() -> None:
    """Anyone can compute it: sorted keys, compact, plain decimals, microseconds, 16 bytes of SHA-256."""
    form = {
        "correlation_id": "r-1",
        "customer_id": "acme",
        "dimensions": {"a": "1", "b": "2"},
        "id": "e-1",
        "occurred_at": 1_772_366_400_000_000,
        "project_id": "bot",
        "quantity": "100",
        "source": "gateway",
        "type": "usage",
        "unit": "token",
    }
    text = json.dumps(form, separators=(",", ":"), sort_keys=True)
    assert digest(EVENT) == hashlib.sha256(text.encode()).digest()[:16].hex()


def test_the_key_hash_is_the_first_64_bits_of_md5() -> None:
    """Any engine can compute it from source, NUL, id."""
    first = hashlib.md5(b"gateway\0e-1", usedforsecurity=False).digest()[:8]
    assert key_hash_of("gateway", "e-1") == int.from_bytes(first, "big", signed=True)
    assert parse(json.dumps(EVENT).encode()).key_hash == key_hash_of("gateway", "e-1")
