"""Bad input: for every reason code what brings it about, from the bytes in a file to the row that says what to do.

One company receives all cases in one import. A code without a case here, or without a row in the documentation, fails.
"""

import json
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, NamedTuple

import pytest

from billing_pipeline.access.scope import Scope
from billing_pipeline.contract.door import not_permitted
from billing_pipeline.contract.instants import instant_us
from billing_pipeline.contract.limits import PAYLOAD_BYTES
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.parsing import parse
from billing_pipeline.contract.reason_codes import RejectionCode
from billing_pipeline.contract.registry import Registry
from billing_pipeline.ingest.importing import import_records
from billing_pipeline.ingest.receipt_times import ReceiptTimes
from billing_pipeline.ingest.sources.formats import read_files
from billing_pipeline.ingest.sources.source_record import TraceOptions
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
from billing_pipeline.metering.control_records import separate_registry_changes
from billing_pipeline.metering.validation import validate
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.settings import PROJECT_ROOT

DAY = date(2024, 1, 30)
RECEIVED_AT = "2024-01-30T12:00:00Z"
DOCUMENT = (PROJECT_ROOT / "docs" / "reason-codes.md").read_text("utf-8")

USAGE: dict[str, object] = {
    "type": "usage",
    "schema_version": 2,
    "source": "app",
    "id": "e-1",
    "customer_id": "acme",
    "project_id": "p",
    "occurred_at": RECEIVED_AT,
    "received_at": RECEIVED_AT,
    "unit": "token",
    "quantity": "1000",
    "dimensions": {"model": "atlas-large", "token_class": "output"},
    "correlation_id": "c",
}
CORRECTION: dict[str, object] = {
    "type": "correction",
    "schema_version": 2,
    "source": "support",
    "id": "c-1",
    "occurred_at": RECEIVED_AT,
    "received_at": RECEIVED_AT,
    "corrects": {"source": "app", "id": "e-1"},
    "action": "void",
    "reason_code": "metering_error",
}
ENVELOPE: dict[str, object] = {
    "specversion": "1.0",
    "type": "com.example.usage",
    "source": "app",
    "id": "e-1",
    "subject": "acme",
    "time": RECEIVED_AT,
    "data": {
        name: USAGE[name]
        for name in ("schema_version", "project_id", "unit", "quantity", "dimensions", "correlation_id")
    },
}
LEFT_OUT = object()


class Case(NamedTuple):
    """What is sent, and what the rejection says: its code, the field, its value, and words of the message."""

    name: str
    payload: bytes
    code: str
    field: str
    value: str | None
    message: str


def _json(event: dict[str, object], changes: dict[str, object]) -> bytes:
    changed = {name: value for name, value in (event | changes).items() if value is not LEFT_OUT}
    return json.dumps(changed, ensure_ascii=False).encode("utf-8", "surrogatepass")


def usage(**changes: object) -> bytes:
    """A usage event that would be billed, but for the changes."""
    return _json(USAGE, changes)


def correction(**changes: object) -> bytes:
    """A correction that would be valid, but for the changes."""
    return _json(CORRECTION, changes)


def cloudevent(**changes: object) -> bytes:
    """The usage event as a CloudEvent, but for the changes."""
    return _json(ENVELOPE, changes)


def shares(*parts: object) -> bytes:
    """The usage event, split among as many payers as there are shares."""
    payers = [{"customer_id": "acme", "project_id": "p", "share": part} for part in parts]
    return usage(allocations=payers)


TEXT = usage()
LONG = "x" * 129
CASES = (
    # bytes that are no event
    Case(
        "nothing but text", b"broken", "invalid_json", "", "Expecting value at character 0", "one JSON value"
    ),
    Case("JSON that ends early", TEXT[:-1], "invalid_json", "", None, "one JSON value"),
    Case("NaN", usage(quantity=float("nan")), "invalid_json", "", None, "one JSON value"),
    Case("invalid UTF-8", TEXT.replace(b"acme", b"a\xffme"), "invalid_utf8", "", None, "UTF-8"),
    Case("half a surrogate in UTF-8", usage(user_id="\ud800"), "invalid_utf8", "", None, "UTF-8"),
    Case("a NUL byte", TEXT.replace(b"acme", b"ac\0me"), "nul_character", "", None, "no NUL"),
    Case(
        "an escaped NUL",
        TEXT.replace(b"acme", b"ac\\u0000me"),
        "nul_character",
        "customer_id",
        None,
        "no NUL",
    ),
    Case("a duplicate key", TEXT[:-1] + b', "quantity": "1"}', "duplicate_key", "quantity", None, "once"),
    Case(
        "a duplicate key within",
        usage().replace(b'{"model"', b'{"model": "x", "model"'),
        "duplicate_key",
        "model",
        None,
        "once",
    ),
    Case("a list", b"[]", "not_an_object", "", "[]", "a JSON object"),
    Case("nesting", usage(dimensions=[[[[[[[[]]]]]]]]), "too_deep", "", None, "at most 8 deep"),
    Case("64 KiB and a byte", TEXT.ljust(PAYLOAD_BYTES) + b"\0", "record_too_large", "", None, "65536 bytes"),
    # the envelope, the type and the version
    Case(
        "an envelope of 2.0", cloudevent(specversion="2.0"), "invalid_envelope", "specversion", "2.0", '"1.0"'
    ),
    Case(
        "an envelope without data", cloudevent(data=LEFT_OUT), "invalid_envelope", "data", None, "JSON object"
    ),
    Case(
        "an envelope that contradicts its data",
        cloudevent(data={**USAGE, "customer_id": "other"}),
        "contradicting_fields",
        "customer_id",
        "other",
        "the same",
    ),
    Case("an unknown type", usage(type="refund"), "unknown_type", "type", "refund", "usage or correction"),
    Case(
        "an unknown schema version",
        usage(schema_version=3),
        "unknown_schema_version",
        "schema_version",
        "3",
        "1 or 2",
    ),
    Case(
        "a field of a later version",
        usage(schema_version=1, session_id="run"),
        "field_not_in_schema_version",
        "session_id",
        "run",
        "version 2",
    ),
    # fields and their types
    Case("an unknown field", usage(price="1"), "unknown_field", "price", "1", "be one of"),
    Case(
        "a queue's own field",
        usage(first_received_at=1),
        "unknown_field",
        "first_received_at",
        "1",
        "be one of",
    ),
    Case("a missing field", usage(unit=LEFT_OUT), "missing_field", "unit", None, "be given"),
    Case("a wrong type", usage(user_id=7), "wrong_type", "user_id", "7", "be text"),
    Case("an empty text", usage(id=""), "empty", "id", "", "1 to 128 characters"),
    Case("an over-long field", usage(id=LONG), "too_long", "id", LONG, "it has 129"),
    Case("a control character", usage(user_id="a\tb"), "invalid_character", "user_id", None, "no control"),
    Case(
        "a slash in a customer",
        usage(customer_id="a/b"),
        "invalid_character",
        "customer_id",
        "a/b",
        "no slash",
    ),
    Case(
        "a time without offset",
        usage(occurred_at="2024-01-30T12:00:00"),
        "invalid_instant",
        "occurred_at",
        "2024-01-30T12:00:00",
        "with an offset",
    ),
    Case(
        "a day that is none",
        usage(occurred_at="2024-02-30T12:00:00Z"),
        "invalid_instant",
        "occurred_at",
        "2024-02-30T12:00:00Z",
        "RFC 3339",
    ),
    # quantities
    Case("a float quantity", usage(quantity=1.5), "float_quantity", "quantity", "1.5", "never a number"),
    Case("a quantity of 1.0", usage(quantity=1.0), "float_quantity", "quantity", "1.0", "never a number"),
    Case("a negative quantity", usage(quantity="-5"), "negative_quantity", "quantity", "-5", "be 0 or more"),
    Case(
        "ten fractional digits",
        usage(quantity="0.0000000001"),
        "over_precise_quantity",
        "quantity",
        "0.0000000001",
        "9 fractional",
    ),
    Case(
        "thirty integer digits",
        usage(quantity=10**29),
        "over_precise_quantity",
        "quantity",
        str(10**29),
        "29 integer",
    ),
    Case("a quantity in words", usage(quantity="1e3"), "invalid_quantity", "quantity", "1e3", "be digits"),
    Case(
        "too many dimensions",
        usage(dimensions={f"d{number}": "x" for number in range(17)}),
        "too_many_dimensions",
        "dimensions",
        "17",
        "at most 16",
    ),
    # who pays, and whether
    Case(
        "not billable without reason",
        usage(billable=False),
        "missing_reason_code",
        "reason_code",
        None,
        "be given",
    ),
    Case(
        "a reason that is none",
        usage(billable=False, reason_code="because"),
        "unknown_reason_code",
        "reason_code",
        "because",
        "be one of",
    ),
    Case("shares below 1", shares("0.5", "0.4"), "shares_not_one", "allocations", "0.9", "exactly 1"),
    Case("shares above 1", shares("0.6", "0.6"), "shares_not_one", "allocations", "1.2", "exactly 1"),
    Case("a share of 0", shares("1", "0"), "invalid_share", "allocations[1].share", "0", "above 0"),
    Case("17 payers", shares(*["0.1"] * 17), "too_many_shares", "allocations", "17", "at most 16"),
    # corrections
    Case(
        "a correction without original",
        correction(corrects=LEFT_OUT),
        "correction_without_original",
        "corrects",
        None,
        "by source and id",
    ),
    Case(
        "a correction of half an identity",
        correction(corrects={"source": "app"}),
        "correction_without_original",
        "corrects.id",
        None,
        "by source and id",
    ),
    Case(
        "an unknown action",
        correction(action="undo"),
        "unknown_action",
        "action",
        "undo",
        "void, adjust, replace",
    ),
    Case(
        "a field of another action",
        correction(quantity_delta="-1"),
        "field_not_of_action",
        "quantity_delta",
        "-1",
        "left out with the action void",
    ),
    Case(
        "a correction without reason",
        correction(reason_code=None),
        "missing_reason_code",
        "reason_code",
        None,
        "be given",
    ),
    # what it takes the log or a rule book to know
    Case(
        "an unknown customer",
        usage(customer_id="nobody"),
        "unknown_customer",
        "customer_id",
        "nobody",
        "register it",
    ),
    Case(
        "an unknown project",
        usage(project_id="other"),
        "unknown_project",
        "project_id",
        "other",
        "register it",
    ),
    Case(
        "a closed customer", usage(customer_id="gone"), "customer_closed", "customer_id", "gone", "was closed"
    ),
    Case("a closed project", usage(project_id="done"), "project_closed", "project_id", "done", "was closed"),
    Case("an unknown unit", usage(unit="page"), "unknown_unit", "unit", "page", "knows no such unit"),
    Case(
        "a future time",
        usage(occurred_at="2024-01-30T12:05:00.000001Z"),
        "future_time",
        "occurred_at",
        "2024-01-30 12:05:00.000001+00",
        "more than 5 minutes",
    ),
    Case(
        "a future correction",
        correction(occurred_at="2024-01-30T13:00:00Z"),
        "future_time",
        "occurred_at",
        "2024-01-30 13:00:00+00",
        "more than 5 minutes",
    ),
    Case(
        "too late",
        usage(occurred_at="2023-12-20T00:00:00Z"),
        "too_late",
        "occurred_at",
        "2023-12-20 00:00:00+00",
        "after the late window",
    ),
    Case(
        "before all rules",
        usage(occurred_at="2023-10-31T23:59:59Z"),
        "no_rules_in_force",
        "occurred_at",
        "2023-10-31 23:59:59+00",
        "no rule book was in force",
    ),
)
REFUSED_AT_THE_DOOR = Case(
    "an event for a customer that its key may not write for",
    TEXT,
    "not_permitted",
    "customer_id",
    "acme",
    "one that the API key may write for",
)
NAMES = [case.name for case in CASES]


@pytest.fixture(scope="module")
def rejections(
    *,
    tmp_path_factory: pytest.TempPathFactory,
    new_pipeline: Callable[[], Pipeline],
    registered: Callable[..., list[LogRecord]],
    change: Callable[..., LogRecord],
    rows: Callable[..., list[tuple[Any, ...]]],
) -> list[tuple[Any, ...]]:
    """All cases, line after line in one file, imported, landed and validated; what became of each, in that order."""
    pipeline = new_pipeline()
    registry = [
        *registered("acme", ["p", "done"]),
        *registered("gone", ["p"]),
        change("customer", "gone", "close", date(2024, 1, 29)),
        change("project", "acme/done", "close", date(2024, 1, 29)),
    ]
    file = tmp_path_factory.mktemp("bad") / "events.ndjson"
    file.write_bytes(b"\n".join(case.payload for case in CASES) + b"\n")
    received_at = instant_us(RECEIVED_AT)
    assert received_at is not None
    pipeline.settings.queue_path.parent.mkdir(parents=True)
    with SqliteQueue(pipeline.settings.queue_path) as queue:
        queue.append("registry", registry, [received_at - 1] * len(registry))
        summary = import_records(
            read_files("ndjson", [file], TraceOptions()),
            queue,
            registry=Registry([]),
            lateness=pipeline.calendar.lateness,
            wall_clock_us=received_at,
            receipt=ReceiptTimes("received_at"),
            allow_late=True,
        )
        pipeline.lander(queue).land()
    assert summary.first_offset == len(registry)
    assert summary.records == len(CASES)
    separate_registry_changes(pipeline.workshop, [DAY])
    validate(pipeline.workshop, [DAY])
    assert rows(pipeline, "SELECT count(*) FROM valid_usage_events") == [(0,)]
    found = rows(
        pipeline,
        "SELECT queue_offset, reason_code, field, value, message, payload, received_at FROM rejected_usage_events "
        "ORDER BY queue_offset",
    )
    assert [row[0] - len(registry) for row in found] == list(range(len(CASES))), (
        "each record is rejected once"
    )
    return [row[1:] for row in found]


def test_every_code_has_a_case() -> None:
    """A code that is added needs input that brings it about."""
    assert {case.code for case in (*CASES, REFUSED_AT_THE_DOOR)} == {code.value for code in RejectionCode}
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("code", list(RejectionCode))
def test_every_code_is_documented(code: RejectionCode) -> None:
    """With its meaning, in the table of the rejections."""
    table = DOCUMENT.partition("## Rejections")[2]
    assert f"\n| `{code.value}` | {code.meaning} |\n" in table


@pytest.mark.parametrize(("position", "case"), list(enumerate(CASES)), ids=NAMES)
def test_bad_input_is_rejected_with_code_field_value_and_message(
    rejections: list[tuple[Any, ...]], position: int, case: Case
) -> None:
    """And with the bytes as they were sent; of a record that is too large, with the first 64 KiB."""
    code, field, value, message, payload, received_at = rejections[position]
    assert (code, field) == (case.code, case.field)
    if case.value is not None:
        assert value == case.value
    assert case.message in message
    assert payload == case.payload[:PAYLOAD_BYTES]
    assert received_at == datetime.fromisoformat(RECEIVED_AT)


def test_the_event_that_the_cases_are_made_of_is_valid(
    pipeline: Pipeline, registered: Callable[..., list[LogRecord]], rows: Callable[..., list[tuple[Any, ...]]]
) -> None:
    """So it is the change that each case names, and nothing else, that has it rejected."""
    received_at = instant_us(RECEIVED_AT)
    assert received_at is not None
    pipeline.settings.queue_path.parent.mkdir(parents=True)
    events = [
        parse(payload) for payload in (usage(), correction(), cloudevent(id="e-2"), shares("0.5", "0.5"))
    ]
    records = [*registered("acme", ["p"]), *events]
    with SqliteQueue(pipeline.settings.queue_path) as queue:
        queue.append("test", records, [received_at] * len(records))
        pipeline.lander(queue).land()
    separate_registry_changes(pipeline.workshop, [DAY])
    validate(pipeline.workshop, [DAY])
    assert rows(pipeline, "SELECT count(*) FROM valid_usage_events") == [(len(events),)]
    assert rows(pipeline, "SELECT count(*) FROM rejected_usage_events") == [(0,)]


def test_what_a_key_may_not_write_is_rejected_with_code_field_value_and_message(
    new_pipeline: Callable[[], Pipeline], rows: Callable[..., list[tuple[Any, ...]]]
) -> None:
    """What the gateway refuses a valid event for needs a key to be seen; it is kept with its bytes like all others."""
    case, pipeline = REFUSED_AT_THE_DOOR, new_pipeline()
    denial = Scope(customers=frozenset({"globex"})).denial("app", ("acme",))
    assert denial is not None
    received_at = instant_us(RECEIVED_AT)
    assert received_at is not None
    with pipeline.queue() as queue:
        queue.append(
            "app", [not_permitted(case.payload, denial.field, denial.value, denial.rule)], [received_at]
        )
        pipeline.lander(queue).land()
    separate_registry_changes(pipeline.workshop, [DAY])
    validate(pipeline.workshop, [DAY])
    query = "SELECT reason_code, field, value, message, payload FROM rejected_usage_events"
    [(code, field, value, message, payload)] = rows(pipeline, query)
    assert (code, field, value) == (case.code, case.field, case.value)
    assert case.message in message
    assert bytes(payload) == case.payload
