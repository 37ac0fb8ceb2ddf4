"""The simulated company: deterministic, complete, and each record labelled with what must become of it."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from billing_pipeline.contract.instants import datetime_of
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.registry import Registry, change_of
from billing_pipeline.demo.agents import agent_sessions
from billing_pipeline.demo.company import SEED, company_log, expected_outcomes
from billing_pipeline.demo.sending import DemoRecord

GRACE = timedelta(hours=1)
LATE_WINDOW = timedelta(days=35)
UNITS = {"token", "call", "second"}
STORIES = {
    "registry",
    "chats",
    "agent sessions",
    "embeddings",
    "sandboxes",
    "not billable",
    "old clients",
    "same bytes again",
    "sent again afresh",
    "spelled otherwise",
    "growing output",
    "just in time",
    "hours late",
    "days late",
    "after the month",
    "too late",
    "from the future",
    "malformed",
    "unknown names",
    "new project",
    "closed customer",
    "corrections",
    "shared runs",
}


@pytest.fixture(scope="module")
def log() -> list[DemoRecord]:
    return company_log()


class Judge:
    """Says what becomes of each record, one after the other, straight from the design's sentences."""

    def __init__(self) -> None:
        self.registry = Registry([])
        self.counted: dict[tuple[str | None, str | None], str | None] = {}

    def outcome(self, record: LogRecord, received_at: datetime, offset: int) -> str:
        if record.kind == "control":
            self.registry = Registry([*self.registry.changes, change_of(record, offset)])
        if record.kind == "control":
            return record.kind
        if record.kind == "correction":
            return self.corrected(record)
        reason = record.fault_code if record.kind == "invalid" else self.rejection(record, received_at)
        if reason is not None:
            return f"rejected:{reason}"
        identity = (record.source, record.id)
        if identity in self.counted:
            return "duplicate" if self.counted[identity] == record.payload_digest else "conflict"
        self.counted[identity] = record.payload_digest
        if record.billable is False:
            return "not_billable"
        return "late" if received_at >= close(record) else "valid"

    def corrected(self, record: LogRecord) -> str:
        """No correction of the demo asks for what its event cannot give, but for those of nothing."""
        identity, target = (record.source, record.id), (record.corrects_source, record.corrects_id)
        if identity in self.counted:
            return "duplicate"
        self.counted[identity] = record.payload_digest
        if target not in self.counted:
            return "correction:original_not_found"
        correctable = target[0] != "support-desk"
        return "correction:applied" if correctable else "correction:not_correctable"

    def rejection(self, record: LogRecord, received_at: datetime) -> str | None:
        customer_id, project_id = record.customer_id or "", record.project_id or ""
        occurred_at = datetime_of(record.occurred_at or 0)
        closed_at = self.registry.closed_at(customer_id)
        faults = {
            "unknown_customer": self.registry.customer(customer_id) is None,
            "unknown_project": not self.registry.has_project(customer_id, project_id),
            "customer_closed": closed_at is not None and occurred_at >= closed_at,
            "unknown_unit": record.unit not in UNITS,
            "future_time": occurred_at > received_at + timedelta(minutes=5),
            "too_late": received_at >= close(record) + LATE_WINDOW,
        }
        return next((code for code, broken in faults.items() if broken), None)


def close(record: LogRecord) -> datetime:
    day = datetime_of(record.occurred_at or 0).date()
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1) + GRACE


@pytest.mark.parametrize("seed", [SEED, 1, 2])
def test_every_record_becomes_what_its_label_says(seed: int) -> None:
    judge = Judge()
    for offset, record in enumerate(company_log(seed)):
        found = judge.outcome(record.log_record(offset), record.received_at, offset)
        assert found == record.kind, (record, offset)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    assert company_log(7) == company_log(7)
    assert [record.payload for record in company_log(7)] != [record.payload for record in company_log(8)]


def test_all_stories_are_told_and_the_whole_stays_small(log: list[DemoRecord]) -> None:
    assert {record.story for record in log} == STORIES
    assert 6_000 <= len(log) <= 8_000
    assert sum(expected_outcomes(log).values()) == len(log)


def test_records_are_in_the_order_of_receipt_and_the_registry_comes_first(log: list[DemoRecord]) -> None:
    times = [record.received_at for record in log]
    assert times == sorted(times)
    assert datetime(2026, 10, 1, 1, tzinfo=UTC) == times[0]
    assert times[-1] < datetime(2026, 11, 5, tzinfo=UTC)
    at_opening = [record.kind for record in log if record.received_at == times[0]]
    assert at_opening == ["control"] * len(at_opening)


def test_every_outcome_is_there(log: list[DemoRecord]) -> None:
    kinds = expected_outcomes(log)
    for kind in ("valid", "late", "not_billable", "duplicate", "conflict", "correction:applied", "control"):
        assert kinds[kind] >= 10, kind
    assert len([kind for kind in kinds if kind.startswith("rejected:")]) >= 25


def test_usage_arrives_after_the_price_change_and_after_the_month_for_before(log: list[DemoRecord]) -> None:
    late = [
        (datetime_of(record.log_record(0).occurred_at or 0), record)
        for record in log
        if record.kind == "late"
    ]
    change, end = datetime(2026, 10, 16, tzinfo=UTC), datetime(2026, 11, 1, 1, tzinfo=UTC)
    assert any(occurred_at < change <= record.received_at for occurred_at, record in late)
    assert any(record.received_at >= end for _, record in late)


def test_agents_fan_out_and_every_parent_is_an_earlier_step_of_the_session() -> None:
    steps: dict[str, set[str]] = {}
    children: Counter[str] = Counter()
    for sent in agent_sessions(SEED):
        record = sent.log_record(0)
        session, name = record.session_id or "", record.id or ""
        if record.parent_id is not None:
            assert record.parent_id in steps[session]
            children[record.parent_id] += record.step == "agent_step"
        if record.step == "agent_step":
            steps.setdefault(session, set()).add(name)
    assert max(children.values()) > 1


def test_each_customer_has_billable_usage_of_every_unit(log: list[DemoRecord]) -> None:
    found: dict[str | None, set[str | None]] = {}
    for position, record in enumerate(log):
        if record.kind == "valid":
            event = record.log_record(position)
            found.setdefault(event.customer_id, set()).add(event.unit)
    assert len(found) == 6
    assert all(units == UNITS for units in found.values())
