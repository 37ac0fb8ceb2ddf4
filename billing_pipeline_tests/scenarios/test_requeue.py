"""Refused records are sent again once what stood in their way is mended: nothing is lost, and nothing bills twice."""

import json
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.contract.instants import instant_us
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.ingest.requeuing import RequeueRequest, RequeueSummary, requeue
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
from billing_pipeline.pipeline import Pipeline

Run = Callable[..., str]
Sql = Callable[[Path, str], list[dict[str, Any]]]

IMPORT = ("import", "--format", "ndjson", "--received-at", "occurred")
COUNTED = "SELECT id, count(*) AS times FROM unique_usage_events GROUP BY id ORDER BY id"
OUTCOMES = (
    "SELECT (SELECT count(*) FROM raw_usage_events WHERE kind <> 'control') AS received, "
    "(SELECT count(*) FROM rejected_usage_events) AS rejected, "
    "(SELECT count(*) FROM duplicate_usage_events) AS repeated, "
    "(SELECT count(*) FROM unique_usage_events) AS counted"
)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets the wall clock of the queue, which stamps what is sent again."""

    def set_clock(instant: str) -> None:
        now = instant_us(instant)
        assert now is not None
        monkeypatch.setattr(
            "billing_pipeline.pipeline.SqliteQueue",
            partial(SqliteQueue, wall_clock=lambda: now, steady_clock=lambda: now),
        )

    return set_clock


@pytest.fixture
def send_again() -> Callable[..., RequeueSummary]:
    """Sends again what was refused by a code at an instant, and lands it."""

    def run(pipeline: Pipeline, instant: str, reason: str, **options: Any) -> RequeueSummary:
        now = instant_us(instant)
        assert now is not None
        path = pipeline.settings.queue_path
        with SqliteQueue(path, wall_clock=lambda: now, steady_clock=lambda: now) as queue:
            lander = pipeline.lander(queue)
            summary = requeue(pipeline.workshop, lander, RequeueRequest(reason, **options))
            lander.land()
        return summary

    return run


@pytest.fixture
def events(tmp_path: Path) -> Callable[..., Path]:
    """A file of usage events: the id, the customer and the time of each; 1,000,000 output tokens, 15.00 USD."""

    def write(*lines: tuple[str, str, str]) -> Path:
        file = tmp_path / "events.ndjson"
        with file.open("w") as text:
            for event_id, customer_id, occurred_at in lines:
                event = {
                    "type": "usage",
                    "schema_version": 2,
                    "source": "app",
                    "id": event_id,
                    "customer_id": customer_id,
                    "project_id": "p",
                    "occurred_at": occurred_at,
                    "unit": "token",
                    "quantity": "1000000",
                    "dimensions": {"model": "atlas-large", "token_class": "output"},
                    "correlation_id": "c",
                }
                text.write(json.dumps(event) + "\n")
        return file

    return write


def test_events_of_an_unknown_customer_are_billed_after_it_was_registered(
    *,
    home: Path,
    billing: Run,
    sql: Sql,
    hashes: Callable[..., dict[str, str]],
    events: Callable[..., Path],
    at: Callable[[str], None],
) -> None:
    """Each once, also those that came twice; what was billed before stays as it was."""
    known, unknown = ("a-1", "acme", "2024-01-30T09:00:00Z"), ("b-1", "bolt", "2024-01-30T10:00:00Z")
    billing(home, *IMPORT, "--register", events(known))
    billing(home, *IMPORT, events(unknown, unknown, ("b-2", "bolt", "2024-01-30T11:00:00Z")))
    billing(home, "queue", "advance", "--to", "2024-01-31T01:00:00Z")
    billing(home, "close", "--through", "2024-01-30")
    assert sql(home, OUTCOMES) == [{"received": 4, "rejected": 3, "repeated": 0, "counted": 1}]
    closed = hashes(home)

    # Registered with an event that came later, from the day of its usage on.
    billing(home, *IMPORT, "--register", "--allow-late", events(("b-3", "bolt", "2024-01-30T00:00:00Z")))
    at("2024-01-31T12:00:00Z")
    report = billing(home, "requeue", "--reason", "unknown_customer")
    assert "found in rejected_usage_events │       3" in report
    assert "│ sent                           │       3" in report
    at("2024-02-01T01:00:00Z")
    billing(home, "queue", "advance", "--to", "2024-02-01T01:00:00Z")
    billing(home, "close", "--through", "2024-01-31")

    assert sql(home, COUNTED) == [{"id": name, "times": 1} for name in ("a-1", "b-1", "b-2", "b-3")]
    assert sql(home, OUTCOMES) == [{"received": 8, "rejected": 3, "repeated": 1, "counted": 4}]
    assert "45.00 USD" in billing(home, "invoice", "show", "bolt", "2024-01")
    assert "15.00 USD" in billing(home, "invoice", "show", "acme", "2024-01")
    assert hashes(home).items() >= closed.items()


def test_a_second_requeue_sends_nothing_and_a_dry_run_changes_nothing(
    *, home: Path, billing: Run, sql: Sql, events: Callable[..., Path], at: Callable[[str], None]
) -> None:
    """Neither before the new try is decided nor after it; a limit leaves the rest for the next time."""
    file = events(*((f"e-{hour}", "acme", f"2024-01-30T{hour:02}:00:00Z") for hour in range(2, 7)))
    billing(home, *IMPORT, file)
    billing(home, "queue", "advance", "--to", "2024-01-31T01:00:00Z")
    billing(home, "close", "--through", "2024-01-30")
    billing(
        home, *IMPORT, "--register", "--allow-late", events(("e-1", "acme", "2024-01-30T01:00:00Z"))
    )  # and the registration
    at("2024-01-31T12:00:00Z")

    def log() -> Any:
        files = {
            path: path.read_bytes()
            for path in home.rglob("*")
            if path.is_file() and path.suffix not in {".lock", ".sqlite-shm", ".sqlite-wal"}
        }
        status = billing(home, "queue", "status").splitlines()
        return files, [line for line in status if "│ lag " not in line]  # which grows by itself

    before = log()
    assert "│ to be sent                     │       5" in billing(
        home, "requeue", "--reason", "unknown_customer", "--dry-run"
    )
    assert log() == before

    def sent(*options: object) -> str:
        report = billing(home, "requeue", "--reason", "unknown_customer", *options)
        (line,) = (line for line in report.splitlines() if line.startswith("│ sent"))
        return line.strip("│ ").split()[-1]

    assert [sent("--limit", 2), sent("--day", "2024-01-29"), sent("--day", "2024-01-30"), sent()] == [
        "2",
        "0",
        "3",
        "0",
    ]
    at("2024-02-01T01:00:00Z")
    billing(home, "queue", "advance", "--to", "2024-02-01T01:00:00Z")
    billing(home, "close", "--through", "2024-01-31")
    assert sent() == "0"
    assert sql(home, OUTCOMES) == [{"received": 11, "rejected": 5, "repeated": 0, "counted": 6}]
    assert sql(
        home,
        "SELECT requeued_offset, CAST(first_received_at AS VARCHAR) AS first FROM raw_usage_events "
        "WHERE producer = 'requeue' ORDER BY queue_offset",
    ) == [{"requeued_offset": hour - 2, "first": f"2024-01-30 {hour:02}:00:00+00"} for hour in range(2, 7)]


def test_a_record_that_came_in_time_is_billed_however_late_it_is_sent_again(
    *,
    pipeline: Pipeline,
    usage: Callable[..., LogRecord],
    change: Callable[..., LogRecord],
    receive: Callable[..., None],
    close: Callable[..., Any],
    send_again: Callable[..., RequeueSummary],
    rows: Callable[..., list[tuple[Any, ...]]],
) -> None:
    """Its first receipt counts, also over several tries; one that came too late at first stays too late.

    The late window of 18 January ends on 23 February, 01:00.
    """
    first, second, third = date(2024, 1, 20), date(2024, 1, 22), date(2024, 2, 29)
    receive(
        pipeline,
        [
            ("2024-01-20T12:00:00Z", usage("b-1", "2024-01-18T12:00:00Z", customer_id="bolt")),
            ("2024-01-20T12:00:00Z", usage("b-2", "2023-12-01T12:00:00Z", customer_id="bolt")),
        ],
    )
    close(pipeline, [first])
    # The first new try comes before anybody has registered the customer, the second one after the late window.
    assert send_again(pipeline, "2024-01-22T12:00:00Z", "unknown_customer").sent == 1
    close(pipeline, [second])
    new_year = date(2024, 1, 1)
    registry = (
        change("customer", "bolt", "register", new_year),
        change("project", "bolt/p", "register", new_year),
        change("plan_assignment", "bolt", "assign", new_year, plan="growth"),
    )
    receive(pipeline, [("2024-02-29T10:00:00Z", record) for record in registry])
    assert send_again(pipeline, "2024-02-29T12:00:00Z", "too_late").sent == 1
    again = send_again(pipeline, "2024-02-29T13:00:00Z", "unknown_customer")
    assert (again.sent, again.skipped) == (1, {"decided": 1})
    close(pipeline, [third])

    assert rows(pipeline, "SELECT id, posting_day, usage_day FROM unique_usage_events") == [
        ("b-1", third, date(2024, 1, 18))
    ]
    assert rows(
        pipeline,
        "SELECT queue_offset, requeued_offset, CAST(first_received_at AS VARCHAR) FROM raw_usage_events "
        "WHERE producer = 'requeue' ORDER BY queue_offset",
    ) == [(offset, refused, "2024-01-20 12:00:00+00") for offset, refused in ((2, 0), (6, 1), (7, 2))]
    assert rows(
        pipeline, "SELECT queue_offset, reason_code FROM rejected_usage_events ORDER BY queue_offset"
    ) == [(0, "unknown_customer"), (1, "too_late"), (2, "unknown_customer"), (6, "too_late")]
    assert rows(pipeline, "SELECT kind, quantity FROM usage_rollups") == [("late", 1000)]
    lines = rows(pipeline, "SELECT kind, usage_period, quantity FROM invoice_lines")
    assert lines == [("adjustment", new_year, 1000)]


def test_a_mistyped_code_is_an_error_and_a_code_that_nothing_has_is_not(
    home: Path, billing: Run, refused: Run
) -> None:
    """So the command can run by itself, day after day."""
    assert "'unknown_custmer', and there is no such code" in refused(
        home, "requeue", "--reason", "unknown_custmer"
    )
    assert "│ found   │       0" in billing(home, "requeue", "--reason", "too_late")
