"""Valid or rejected: each record goes to exactly one of the two, and a rejection says field, value and what to do."""

import dataclasses
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import pytest

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.parsing import parse
from billing_pipeline.contract.registry import RegistryChange
from billing_pipeline.metering.control_records import separate_registry_changes
from billing_pipeline.metering.validation import validate
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.rule_book import ClosePolicy, RuleBooks
from billing_pipeline.rating.rule_book_yaml import load_rule_books
from billing_pipeline.settings import PROJECT_ROOT

OLD, NEW = "2023-11-01", "2026-10-16"
STRANGE = b'{"id": "\xff\x00"}'
NUL = b"a\x00b"


class Verdicts(NamedTuple):
    """By event id the rule version it is valid under; by offset the rejections."""

    valid: dict[str, Any]
    rejected: dict[int, tuple[Any, ...]]


Log = Sequence[tuple[str, LogRecord]]


def name_of(record: LogRecord) -> str:
    """The event's id, also where the record is invalid; of unreadable bytes what is kept of them."""
    found = re.search('"id":"([^"]*)"', record.payload or "")
    return found.group(1) if found else record.payload_base64 or record.payload or ""


@pytest.fixture(scope="module")
def judge(
    receive: Callable[..., None], rows: Callable[..., list[tuple[Any, ...]]]
) -> Callable[[Pipeline, Log], Verdicts]:
    """Lands a log and validates every receipt day that it touches."""

    def run(pipeline: Pipeline, log: Log) -> Verdicts:
        receive(pipeline, log)
        days = [
            row[0] for row in rows(pipeline, "SELECT DISTINCT receipt_day FROM raw_usage_events ORDER BY 1")
        ]
        separate_registry_changes(pipeline.workshop, days)
        validate(pipeline.workshop, days)
        valid = rows(pipeline, "SELECT id, rule_version FROM valid_usage_events")
        rejected = rows(
            pipeline,
            "SELECT queue_offset, reason_code, field, value, message, payload FROM rejected_usage_events",
        )
        return Verdicts(dict(valid), {row[0]: row[1:] for row in rejected})

    return run


@pytest.fixture(scope="module")
def verdicts(
    *,
    new_pipeline: Callable[[], Pipeline],
    usage: Callable[..., LogRecord],
    correction: Callable[..., LogRecord],
    change: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    judge: Callable[[Pipeline, Log], Verdicts],
) -> dict[str, Any]:
    """One log with every case: by event id the rule version, or (code, field, value, message, payload)."""
    closing = datetime(2026, 10, 20, 12, tzinfo=UTC)
    late = "2026-10-25T12:00:00Z"
    log: list[tuple[str, LogRecord]] = [
        ("2026-10-10T00:00:00Z", record)
        for record in (
            *registered("acme", ["p", "q"]),
            *registered("gone", ["p"]),
            *registered("wide", ["p"]),
            change("project", "orphan/p", "register"),
        )
    ]
    log += [
        # the registry
        ("2026-10-12T00:00:00Z", usage("nobody", "2026-10-12T00:00:00Z", customer_id="nobody")),
        ("2026-10-12T00:00:00Z", usage("orphan", "2026-10-12T00:00:00Z", customer_id="orphan")),
        ("2026-10-12T00:00:00Z", usage("no-project", "2026-10-12T00:00:00Z", project_id="r")),
        ("2026-10-12T00:00:00Z", usage("early", "2026-10-12T00:00:00Z", customer_id="soon")),
        *(("2026-10-12T00:00:00Z", record) for record in registered("soon", ["p"])),
        ("2026-10-12T00:00:00Z", usage("in-time", "2026-10-12T00:00:00Z", customer_id="soon")),
        # the rules
        ("2026-10-12T00:00:00Z", usage("unit", "2026-10-12T00:00:00Z", unit="page")),
        ("2026-10-12T00:00:00Z", usage("before-rules", "2023-10-31T23:59:59.999999Z")),
        # clocks of producers
        ("2026-10-12T12:00:00Z", usage("five-minutes", "2026-10-12T12:05:00Z")),
        ("2026-10-12T12:00:00Z", usage("future", "2026-10-12T12:05:00.000001Z")),
        ("2026-10-12T12:00:00Z", correction("future-correction", "in-time", "2026-10-12T12:05:00.000001Z")),
        ("2026-10-12T12:00:00Z", correction("correction", "unknown", "2023-01-01T00:00:00Z")),
        # the contract
        ("2026-10-12T12:00:00Z", usage("float", "2026-10-12T12:00:00Z", quantity=1.5)),
        ("2026-10-12T12:00:00Z", parse(STRANGE)),
        ("2026-10-12T12:00:00Z", parse(NUL)),
        ("2026-10-12T12:00:00Z", parse(b"")),
        # rule versions change at a microsecond
        ("2026-10-16T00:00:00Z", usage("old-rules", "2026-10-15T23:59:59.999999Z")),
        ("2026-10-16T00:00:00Z", usage("new-rules", "2026-10-16T00:00:00Z")),
        # closed while open at receipt, and the other way round
        ("2026-10-20T12:00:00Z", usage("before-close-record", "2026-10-20T12:00:01Z", customer_id="gone")),
        ("2026-10-20T12:00:00Z", change("customer", "gone", "close", closing)),
        ("2026-10-20T12:00:00Z", change("project", "acme/q", "close", closing)),
        (late, usage("open-then", "2026-10-20T11:59:59.999999Z", customer_id="gone")),
        (late, usage("closed-then", "2026-10-20T12:00:00Z", customer_id="gone")),
        (late, usage("project-open", "2026-10-20T11:59:59.999999Z", project_id="q")),
        (late, usage("project-closed", "2026-10-20T12:00:00Z", project_id="q")),
        (late, usage("other-project", "2026-10-20T12:00:00Z")),
        # the late window: 35 days after the close of 20 October, 01:00 of the next day
        ("2026-11-25T00:59:59.999999Z", usage("just-late", "2026-10-20T00:00:00Z")),
        ("2026-11-25T01:00:00Z", usage("too-late", "2026-10-20T23:59:59.999999Z")),
    ]
    found = judge(new_pipeline(), log)
    return found.valid | {name_of(log[offset][1]): row for offset, row in found.rejected.items()}


@pytest.mark.parametrize(
    ("event", "code", "field", "value", "message"),
    [
        ("nobody", "unknown_customer", "customer_id", "nobody", "register it and send it again"),
        ("orphan", "unknown_customer", "customer_id", "orphan", "register it and send it again"),
        ("no-project", "unknown_project", "project_id", "r", "the customer had no such project"),
        ("early", "unknown_customer", "customer_id", "soon", "was not registered when this was received"),
        ("unit", "unknown_unit", "unit", "page", "the rule book in force knows no such unit"),
        (
            "before-rules",
            "no_rules_in_force",
            "occurred_at",
            "2023-10-31 23:59:59.999999+00",
            "no rule book was in force",
        ),
        (
            "future",
            "future_time",
            "occurred_at",
            "2026-10-12 12:05:00.000001+00",
            "more than 5 minutes after",
        ),
        (
            "future-correction",
            "future_time",
            "occurred_at",
            "2026-10-12 12:05:00.000001+00",
            "mend the producer's clock",
        ),
        ("closed-then", "customer_closed", "customer_id", "gone", "the customer was closed"),
        ("project-closed", "project_closed", "project_id", "q", "the project was closed"),
        ("too-late", "too_late", "occurred_at", "2026-10-20 23:59:59.999999+00", "after the late window"),
        ("float", "float_quantity", "quantity", "1.5", "quantity"),
    ],
)
def test_a_rejection_names_code_field_value_and_what_to_do(
    *, verdicts: dict[str, Any], event: str, code: str, field: str, value: str, message: str
) -> None:
    found = verdicts[event]
    assert found[:3] == (code, field, value)
    assert message in found[3]


@pytest.mark.parametrize(
    ("event", "version"),
    [
        ("in-time", OLD),
        ("five-minutes", OLD),
        ("old-rules", OLD),
        ("new-rules", NEW),
        ("before-close-record", NEW),
        ("open-then", NEW),
        ("project-open", NEW),
        ("other-project", NEW),
        ("just-late", NEW),
        ("correction", None),
    ],
)
def test_what_may_be_billed_is_valid_under_the_rules_in_force_when_it_occurred(
    verdicts: dict[str, Any], event: str, version: str | None
) -> None:
    """Also usage of after a closing that had not been received yet: it saw the registry of lower offsets."""
    assert verdicts[event] == version


@pytest.mark.parametrize(
    ("name", "payload"),
    [("eyJpZCI6ICL/ACJ9", STRANGE), ("YQBi", NUL), ("", b"")],
    ids=["no utf-8", "nul", "empty"],
)
def test_the_bytes_of_a_rejected_record_are_kept_as_they_came(
    verdicts: dict[str, Any], name: str, payload: bytes
) -> None:
    assert verdicts[name][4] == payload


def test_the_rejected_payload_of_a_readable_event_is_its_own_json(
    verdicts: dict[str, Any], usage: Callable[..., LogRecord]
) -> None:
    event = usage("unit", "2026-10-12T00:00:00Z", unit="page")
    assert verdicts["unit"][4].decode() == event.payload


def test_under_the_longest_grace_the_day_after_the_last_one_has_rules_too(
    new_pipeline: Callable[[RuleBooks], Pipeline],
    usage: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    judge: Callable[[Pipeline, Log], Verdicts],
) -> None:
    """An event of the receipt day D may claim a time of D + 4: 72 hours of grace, and a clock that is ahead."""
    book = next(iter(load_rule_books(PROJECT_ROOT / "data" / "rule_books")))
    patient = dataclasses.replace(book, close_policy=ClosePolicy(grace_minutes=72 * 60))
    pipeline = new_pipeline(RuleBooks((patient,)))
    log = [("2026-10-10T23:59:59.999999Z", record) for record in registered()]
    log.append(("2026-10-10T23:59:59.999999Z", usage("ahead", "2026-10-11T00:04:00Z")))
    found = judge(pipeline, log)
    assert found == Verdicts({"ahead": OLD}, {})


def test_the_seed_is_known_before_the_first_record(
    new_pipeline: Callable[[], Pipeline],
    usage: Callable[..., LogRecord],
    judge: Callable[[Pipeline, Log], Verdicts],
) -> None:
    pipeline = new_pipeline()
    start = date(2026, 1, 1)
    pipeline.seed = (
        RegistryChange("customer", "acme", "register", start),
        RegistryChange("project", "acme/p", "register", start),
        RegistryChange("project", "acme/q", "register", start),
        RegistryChange("project", "acme/q", "close", date(2026, 10, 1)),
    )
    log = [
        ("2026-10-10T00:00:00Z", usage("first", "2026-10-10T00:00:00Z")),
        ("2026-10-10T00:00:00Z", usage("closed", "2026-10-10T00:00:00Z", project_id="q")),
    ]
    found = judge(pipeline, log)
    assert found.valid == {"first": OLD}
    assert found.rejected[1][0] == "project_closed"


def test_the_counts_by_reason_and_the_tables_agree(
    new_pipeline: Callable[[], Pipeline],
    receive: Callable[..., None],
    usage: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
) -> None:
    pipeline = new_pipeline()
    noon = "2026-10-10T12:00:00Z"
    log = [(noon, record) for record in registered()]
    log += [(noon, usage(f"good-{n}", noon)) for n in range(3)]
    log += [(noon, usage(f"bad-{n}", noon, unit="page")) for n in range(2)]
    receive(pipeline, log)
    day = [date(2026, 10, 10)]
    separate_registry_changes(pipeline.workshop, day)
    result = {each.table: each for each in validate(pipeline.workshop, day).partitions}
    assert result["valid_usage_events"].rows == result["usage_event_keys"].rows == 3
    assert result["rejected_usage_events"].rows == 2
    assert result["rejected_usage_events"].counts == {"unknown_unit": 2}
