"""What parsing accepts and what it refuses, with every fault named."""

import json
from typing import Any

import pytest

from billing_pipeline.contract.log import payload_bytes
from billing_pipeline.contract.parsing import faults, parse, parse_fast, parse_value

EVENT: dict[str, Any] = {
    "id": "req-1:output",
    "source": "gateway",
    "type": "usage",
    "schema_version": 2,
    "customer_id": "acme",
    "project_id": "support-bot",
    "occurred_at": "2026-03-01T12:00:00Z",
    "unit": "token",
    "quantity": "1234",
    "dimensions": {"token_class": "output", "model": "m-1"},
    "correlation_id": "req-1",
}


def payload(**changes: object) -> bytes:
    return json.dumps({key: value for key, value in (EVENT | changes).items() if value is not ...}).encode()


def codes(data: bytes) -> list[tuple[str, str]]:
    return [(fault.reason_code.value, fault.field) for fault in faults(data)]


def test_a_valid_event_becomes_a_record_with_its_bytes() -> None:
    """Every field is kept normalized, the payload as it came."""
    data = payload(quantity="0100.50", occurred_at="2026-03-01T14:00:00.1234567+02:00", emitted_at=None)
    record = parse(data)
    assert record.kind == "usage"
    assert record.quantity == "100.5"
    assert record.occurred_at == 1_772_366_400_123_456
    assert record.emitted_at is None
    assert record.dimensions == '{"model":"m-1","token_class":"output"}'
    assert record.billable is True
    assert payload_bytes(record) == data


@pytest.mark.parametrize("quantity", ["100.0", "0", 100, 10**29 - 1, "0.000000001", "9" * 29 + "." + "9" * 9])
def test_decimal_text_and_integers_are_quantities(quantity: object) -> None:
    """Up to 29 integer and 9 fractional digits, as text or as a JSON integer."""
    assert faults(payload(quantity=quantity)) == []
    assert parse_fast(payload(quantity=quantity)) is not None


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"quantity": 1.0}, "float_quantity", "quantity"),
        ({"quantity": 1e300}, "float_quantity", "quantity"),
        ({"quantity": -1}, "negative_quantity", "quantity"),
        ({"quantity": "-0.5"}, "negative_quantity", "quantity"),
        ({"quantity": "1e3"}, "invalid_quantity", "quantity"),
        ({"quantity": "1,000"}, "invalid_quantity", "quantity"),
        ({"quantity": ".5"}, "invalid_quantity", "quantity"),
        ({"quantity": "\u0661"}, "invalid_quantity", "quantity"),
        ({"quantity": ""}, "invalid_quantity", "quantity"),
        ({"quantity": "NaN"}, "invalid_quantity", "quantity"),
        ({"quantity": "1.0000000001"}, "over_precise_quantity", "quantity"),
        ({"quantity": 10**29}, "over_precise_quantity", "quantity"),
        ({"quantity": True}, "wrong_type", "quantity"),
        ({"quantity": None}, "missing_field", "quantity"),
        ({"occurred_at": "2026-03-01T12:00:00"}, "invalid_instant", "occurred_at"),
        ({"occurred_at": "2026-02-30T12:00:00Z"}, "invalid_instant", "occurred_at"),
        ({"occurred_at": "2026-03-01"}, "invalid_instant", "occurred_at"),
        ({"occurred_at": "20260301T120000Z"}, "invalid_instant", "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+01:00"}, "invalid_instant", "occurred_at"),
        ({"occurred_at": 1772366400}, "wrong_type", "occurred_at"),
        ({"emitted_at": "yesterday"}, "invalid_instant", "emitted_at"),
        ({"received_at": ""}, "invalid_instant", "received_at"),
        ({"id": ...}, "missing_field", "id"),
        ({"id": ""}, "empty", "id"),
        ({"id": "x" * 129}, "too_long", "id"),
        ({"id": 7}, "wrong_type", "id"),
        ({"source": "a\nb"}, "invalid_character", "source"),
        ({"source": "a\u0000b"}, "nul_character", "source"),
        ({"user_id": "\ud800"}, "invalid_character", "user_id"),
        ({"unit": "to\u0085ken"}, "invalid_character", "unit"),
        ({"customer_id": "a/b"}, "invalid_character", "customer_id"),
        ({"correlation_id": ...}, "missing_field", "correlation_id"),
        ({"type": "event"}, "unknown_type", "type"),
        ({"type": ...}, "missing_field", "type"),
        ({"schema_version": 3}, "unknown_schema_version", "schema_version"),
        ({"schema_version": "2"}, "wrong_type", "schema_version"),
        ({"schema_version": 1.0}, "unknown_schema_version", "schema_version"),
        ({"schema_version": 1, "session_id": "s"}, "field_not_in_schema_version", "session_id"),
        ({"schema_version": 1, "parent_id": "s"}, "field_not_in_schema_version", "parent_id"),
        ({"price": "1"}, "unknown_field", "price"),
        ({"dimensions": {str(n): "x" for n in range(17)}}, "too_many_dimensions", "dimensions"),
        ({"dimensions": {"k" * 65: "x"}}, "too_long", "dimensions key"),
        ({"dimensions": {"k": "x" * 257}}, "too_long", "dimensions.k"),
        ({"dimensions": {"k": 1}}, "wrong_type", "dimensions.k"),
        ({"dimensions": {"": "x"}}, "empty", "dimensions key"),
        ({"dimensions": ["k"]}, "wrong_type", "dimensions"),
        ({"billable": False}, "missing_reason_code", "reason_code"),
        ({"billable": "no"}, "wrong_type", "billable"),
        ({"reason_code": "metering_error"}, "unknown_reason_code", "reason_code"),
        ({"allocations": []}, "empty", "allocations"),
        ({"allocations": "all"}, "wrong_type", "allocations"),
        ({"allocations": ["acme"]}, "wrong_type", "allocations[0]"),
    ],
)
def test_a_single_fault_is_named(changes: dict[str, object], code: str, field: str) -> None:
    """Each rule has its code and says the field; the record carries the same."""
    data = payload(**changes)
    assert (code, field) in codes(data)
    record = parse(data)
    assert (record.kind, record.fault_code, record.fault_field) == ("invalid", code, field)
    assert parse_fast(data) is None


def test_every_fault_is_listed() -> None:
    """An event with five faults reports five, the message of the record says them all."""
    data = payload(id="", quantity=1.5, occurred_at="noon", unit=3, extra=1)
    assert set(codes(data)) == {
        ("unknown_field", "extra"),
        ("empty", "id"),
        ("invalid_instant", "occurred_at"),
        ("wrong_type", "unit"),
        ("float_quantity", "quantity"),
    }
    message = parse(data).fault_message or ""
    assert all(word in message for word in ("extra", "id must", "noon", "unit must", "1.5"))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"{} {}", "invalid_json"),
        (b'{"quantity": NaN}', "invalid_json"),
        (b"\xef\xbb\xbf{}", "invalid_json"),
        (b'{"id": "\xff"}', "invalid_utf8"),
        (b'{"id": "\0"}', "nul_character"),
        (b"[]", "not_an_object"),
        (b"null", "not_an_object"),
        (b"17", "not_an_object"),
        (b"[" * 60_000, "too_deep"),
        (b'{"a":' * 9 + b"1" + b"}" * 9, "too_deep"),
        (b'{"a": "' + b"x" * 66_000 + b'"}', "record_too_large"),
        (b'"' + b'\\"' * 30_000, "invalid_json"),
        (b'{"quantity": ' + b"9" * 60_000 + b"}", "missing_field"),
        (b'{"quantity": 1e' + b"9" * 60_000 + b"}", "missing_field"),
    ],
)
def test_bytes_that_are_no_event_are_refused_without_an_exception(data: bytes, code: str) -> None:
    """Whatever they are, a record of kind invalid keeps them, of large ones the first 64 KiB."""
    record = parse(data)
    assert (record.kind, record.fault_code) == ("invalid", code)
    assert payload_bytes(record) == data[:65_536]


def test_keys_given_twice_are_refused_at_any_level() -> None:
    """JSON readers disagree on which of two values counts, so neither does."""
    text = payload().decode()
    assert ("duplicate_key", "unit") in codes(text.replace('"unit"', '"unit": "token", "unit"').encode())
    nested = text.replace('"model"', '"model": "m-1", "model"').encode()
    assert codes(nested) == [("duplicate_key", "model")]
    assert parse(nested).kind == "invalid"
    assert parse_fast(nested) is None


def test_brackets_in_texts_are_not_depth() -> None:
    """Depth counts objects and lists, not characters."""
    assert parse(payload(id="[{" * 40 + '\\"')).kind == "usage"


def test_a_huge_integer_is_refused_as_over_precise() -> None:
    """60,000 digits neither crash nor take long."""
    data = payload(quantity="Q").replace(b'"Q"', b"9" * 60_000)
    assert codes(data) == [("over_precise_quantity", "quantity")]


def test_null_is_the_same_as_absent() -> None:
    """Optional fields may be null in both versions."""
    names = (
        "user_id",
        "emitted_at",
        "session_id",
        "parent_id",
        "step",
        "reason_code",
        "allocations",
        "billable",
    )
    record = parse(payload(schema_version=1, **dict.fromkeys(names)))
    assert record.kind == "usage"
    assert record.payload_digest == parse(payload()).payload_digest


def test_escapes_and_foreign_letters_are_read() -> None:
    """The fast path takes plain UTF-8, the slow one escapes, both to the same event."""
    plain = json.dumps(EVENT | {"user_id": "Zoë"}, ensure_ascii=False).encode()
    assert parse_fast(plain) is not None
    assert parse_fast(payload(user_id="Zoë")) is None
    assert parse(payload(user_id="Zoë")).payload_digest == parse(plain).payload_digest


def test_a_faulty_value_is_quoted_safely_and_shortly() -> None:
    """Quoted values are at most 200 characters and free of control characters."""
    fault = faults(payload(unit="\x1b[31m" * 100))[0]
    assert fault.value is not None
    assert len(fault.value) <= 200
    assert "\x1b" not in fault.value


def test_a_built_value_is_parsed_like_its_json() -> None:
    """Producers in this process need not encode."""
    assert parse_value(EVENT).payload_digest == parse(payload()).payload_digest
