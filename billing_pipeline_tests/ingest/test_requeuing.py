"""Requeuing: each refused record goes into the log again once, as the bytes it came as, whatever happens meanwhile."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest

from billing_pipeline.contract.limits import PAYLOAD_BYTES
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.parsing import parse
from billing_pipeline.errors import QueueError, RequeueCodeError
from billing_pipeline.ingest import requeuing
from billing_pipeline.ingest.requeuing import RequeueRequest, RequeueSummary, requeue
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
from billing_pipeline.pipeline import Pipeline

Rows = Callable[..., list[tuple[Any, ...]]]
SENT = "SELECT requeued_offset, count(*) FROM raw_usage_events WHERE producer = 'requeue' GROUP BY ALL ORDER BY ALL"
AT = "2024-01-30T12:00:00Z"
DAY = date(2024, 1, 30)
NOW = 1_706_702_400_000_000  # 2024-01-31T12:00:00Z
RECORDS = 7


class FailingQueue(SqliteQueue):
    """Takes one batch, and then no more."""

    taken = 0

    def append(
        self, producer: str, records: Sequence[LogRecord], received_at: Sequence[int] | None = None
    ) -> range:
        self.taken += 1
        if self.taken > 1:
            raise QueueError("the disk is full")
        return super().append(producer, records, received_at)


def send(
    pipeline: Pipeline, request: RequeueRequest, kind: type[SqliteQueue] = SqliteQueue
) -> RequeueSummary:
    """Requeue, and land what that sent."""
    with kind(pipeline.settings.queue_path, wall_clock=lambda: NOW, steady_clock=lambda: NOW) as queue:
        lander = pipeline.lander(queue)
        try:
            return requeue(pipeline.workshop, lander, request)
        finally:
            lander.land()


@pytest.fixture
def refused(
    pipeline: Pipeline,
    usage: Callable[..., LogRecord],
    receive: Callable[..., None],
    meter: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Pipeline:
    """A company that has refused seven events; what is sent again goes in batches of three, read by twos."""
    receive(pipeline, [(AT, usage(f"e-{number}", AT)) for number in range(RECORDS)])
    meter(pipeline, [DAY])
    monkeypatch.setattr(requeuing, "BATCH_RECORDS", 3)
    monkeypatch.setattr(requeuing, "PAGE_RECORDS", 2)
    return pipeline


def test_a_run_that_fails_half_way_is_finished_by_the_next(refused: Pipeline, rows: Rows) -> None:
    """What was appended before it failed is in the log and is not sent again."""
    request = RequeueRequest("unknown_customer")
    with pytest.raises(QueueError, match="the disk is full"):
        send(refused, request, FailingQueue)
    assert rows(refused, SENT) == [(offset, 1) for offset in range(3)]
    again = send(refused, request)
    assert (again.found, again.sent, again.skipped) == (
        {"rejected_usage_events": RECORDS},
        RECORDS - 3,
        {"undecided": 3},
    )
    assert [len(offsets) for offsets in again.offsets] == [3, 1]
    assert rows(refused, SENT) == [(offset, 1) for offset in range(RECORDS)]


def test_two_at_once_send_each_record_once(refused: Pipeline, rows: Rows) -> None:
    """They take turns, and the second one sees what the first one has sent."""
    others = [Pipeline(refused.settings), Pipeline(refused.settings)]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda each: send(each, RequeueRequest("unknown_customer")), others))
    assert sorted(summary.sent for summary in done) == [0, RECORDS]
    assert rows(refused, SENT) == [(offset, 1) for offset in range(RECORDS)]


def test_a_limit_and_a_day_choose_what_is_sent_and_the_oldest_goes_first(
    refused: Pipeline, rows: Rows
) -> None:
    """The rest is counted as left."""
    assert send(refused, RequeueRequest("unknown_customer", date(2024, 1, 29))).found == {}
    limited = send(refused, RequeueRequest("unknown_customer", DAY, limit=5))
    assert (limited.sent, limited.skipped) == (5, {"beyond_limit": 2})
    assert rows(refused, SENT) == [(offset, 1) for offset in range(5)]


def test_a_dry_run_counts_and_says_what_it_cannot_know(
    refused: Pipeline, usage: Callable[..., LogRecord], rows: Rows
) -> None:
    """It lands nothing, so the end of the queue may hold records that were sent again."""
    with SqliteQueue(refused.settings.queue_path, wall_clock=lambda: NOW) as queue:
        queue.append("test", [usage("late", AT)])
        lander = refused.lander(queue)
        dry = requeue(refused.workshop, lander, RequeueRequest("unknown_customer", dry_run=True))
        assert lander.pending() == 1
    assert (dry.to_send, dry.sent, dry.not_landed) == (RECORDS, 0, 1)
    assert rows(refused, SENT) == []


def test_the_bytes_are_sent_as_they_came_unless_they_were_cut_off(
    pipeline: Pipeline, receive: Callable[..., None], meter: Callable[..., Any], rows: Rows
) -> None:
    """A record of more than 64 KiB is not sent: what was kept of it could be another event."""
    strange = b'{"id": "\xff\x00"}'
    # Its first 64 KiB are a JSON object, which the whole is not.
    long = b"{}".ljust(PAYLOAD_BYTES) + b"x"
    receive(pipeline, [(AT, parse(strange)), (AT, parse(long))])
    meter(pipeline, [DAY])
    assert send(pipeline, RequeueRequest("invalid_utf8")).sent == 1
    cut = send(pipeline, RequeueRequest("record_too_large"))
    assert (cut.found, cut.sent, cut.skipped) == ({"rejected_usage_events": 1}, 0, {"cut_off": 1})
    assert rows(
        pipeline, "SELECT payload, kind, fault_code FROM raw_usage_events WHERE producer = 'requeue'"
    ) == [(strange, "invalid", "invalid_utf8")]


def test_a_refused_correction_is_sent_by_its_outcome_and_applied_once_its_event_is_there(
    *,
    pipeline: Pipeline,
    usage: Callable[..., LogRecord],
    correction: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
    meter: Callable[..., Any],
    rows: Rows,
) -> None:
    """It came ahead of its event; the bytes sent again are those of the log."""
    ahead = correction("c-1", "e-1", AT)
    receive(pipeline, [(AT, record) for record in (*registered(), ahead, usage("e-1", AT))])
    meter(pipeline, [DAY])
    done = send(pipeline, RequeueRequest("original_not_found"))
    assert (done.found, done.sent) == ({"usage_corrections": 1}, 1)
    meter(pipeline, [DAY, DAY + timedelta(days=1)])
    assert send(pipeline, RequeueRequest("original_not_found")).skipped == {"decided": 1}
    assert rows(
        pipeline, "SELECT requeued_offset, kind, payload FROM raw_usage_events WHERE producer = 'requeue'"
    ) == [(3, "correction", (ahead.payload or "").encode())]
    assert rows(
        pipeline,
        "SELECT DISTINCT queue_offset, outcome, corrected_queue_offset FROM usage_corrections ORDER BY queue_offset",
    ) == [(3, "original_not_found", None), (5, "applied", 4)]
    assert rows(pipeline, "SELECT count(*) FROM duplicate_usage_events") == [(0,)]


@pytest.mark.parametrize("code", ["duplicate", "conflict", "applied", "control"])
def test_what_was_not_refused_cannot_be_sent_again(refused: Pipeline, code: str) -> None:
    """The error lists the codes that there are."""
    with pytest.raises(RequeueCodeError, match=r"unknown_customer \(7\)"):
        send(refused, RequeueRequest(code))
