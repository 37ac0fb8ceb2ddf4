"""What every durable queue does, wherever it is kept: order, groups, limits and what is kept."""

import threading

import pytest

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.log_lines import Body, record_line
from billing_pipeline.errors import ClockError, QueueError, QueueFullError, QueuePrunedError
from billing_pipeline.ingest import postgres_pruning, sqlite_pruning, write_buffer
from billing_pipeline.ingest.queue import MAX_BATCH_BYTES, MAX_BATCH_RECORDS, Queue
from billing_pipeline.ingest.stored_queue import LANDING, Pruned, StoredQueue
from billing_pipeline_tests.ingest.queue_stores import QueueStore

PATIENCE_SECONDS = 30
"""A test that waits for another thread gives up after this time instead of hanging."""
RECORD_BYTES = (
    len(record_line(LogRecord(kind="usage", payload="{}", source="product", id="0/0", quantity="1.25"))) + 1
)


def record(name: str, payload: str = "{}") -> LogRecord:
    return LogRecord(kind="usage", payload=payload, source="product", id=name, quantity="1.25")


def names(queue: Queue, offset: int = 0) -> list[str | None]:
    return [found.id for batch in queue.read_from(offset, 1_000_000) for found in batch.records()]


def test_an_untouched_queue_is_empty(store: QueueStore) -> None:
    queue = store.open()
    assert queue.read("lander", 10) == []
    assert queue.read_from(0, 10) == []
    assert (queue.next_offset(), queue.clock(), queue.committed("lander")) == (0, 0, 0)
    assert queue.prune(0, 0) == Pruned(0, 0, 0, 0)
    with pytest.raises(QueueError, match="the log ends at 0"):
        queue.commit("lander", 1)
    assert (queue.status().size_bytes, queue.status().committed) == (0, {})


def test_what_append_returned_is_there_after_reopening(store: QueueStore) -> None:
    with store.open() as queue:
        assert queue.append("one", [record("a"), record("b")]) == range(2)
    with store.open() as queue:
        assert queue.append("two", [record("c")]) == range(2, 3)
        assert names(queue) == ["a", "b", "c"]
        assert [batch.producer for batch in queue.read_from(0, 10)] == ["one", "two"]


def test_records_come_back_as_they_were_appended(store: QueueStore) -> None:
    with store.open() as queue:
        sent = [
            record("a", payload='{"text":"naïve\\n\r\n\u2028"}'),
            LogRecord(kind="invalid", payload_base64="AA=="),
        ]
        queue.append("product", sent)
        (batch,) = queue.read_from(0, 10)
    assert list(batch.records()) == sent
    assert batch.body.count(b"\n") == batch.count == 2
    assert batch.received_at is not None
    assert batch.receipt_times() == [batch.received_at] * 2


def test_sixteen_threads_get_dense_offsets_in_the_order_each_appended(store: QueueStore) -> None:
    queue = store.open()
    ranges: list[range] = []
    start = threading.Barrier(16)

    def produce(worker: int) -> None:
        start.wait(PATIENCE_SECONDS)
        for turn in range(20):
            records = [record(f"{worker}/{turn}/{i}") for i in range(3)]
            found = queue.append(f"worker {worker}", records)
            ranges.append(found)

    threads = [threading.Thread(target=produce, args=(worker,)) for worker in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(offset for found in ranges for offset in found) == list(range(16 * 20 * 3))
    queue.close()

    batches = queue.read_from(0, 1_000_000)
    assert [batch.first_offset for batch in batches] == [i * 3 for i in range(320)]
    times = [batch.received_at or 0 for batch in batches]
    assert times == sorted(times)
    for worker in range(16):
        mine = [
            found.id for batch in batches if batch.producer == f"worker {worker}" for found in batch.records()
        ]
        assert mine == [f"{worker}/{turn}/{i}" for turn in range(20) for i in range(3)]


def test_a_group_reads_on_from_where_it_committed(store: QueueStore) -> None:
    with store.open() as queue:
        for name in "abc":
            queue.append("product", [record(name), record(name)])
        assert [batch.first_offset for batch in queue.read("lander", 2)] == [0, 2]
        queue.commit("lander", 4)
        assert [batch.first_offset for batch in queue.read("lander", 2)] == [4]
        assert [batch.first_offset for batch in queue.read("auditor", 9)] == [0, 2, 4]
        queue.commit("lander", 6)
        assert queue.read("lander", 2) == []
    assert store.open().status().committed == {"lander": 6}


def test_reading_from_inside_a_batch_gives_that_batch_whole(store: QueueStore) -> None:
    with store.open() as queue:
        queue.append("product", [record("a"), record("b"), record("c")])
        queue.append("product", [record("d")])
        assert [batch.first_offset for batch in queue.read_from(2, 100)] == [0, 3]
        assert [batch.first_offset for batch in queue.read_from(0, 1)] == [0]
        assert [batch.first_offset for batch in queue.read_from(0, 4)] == [0, 3]
        assert queue.read_from(4, 100) == []


def test_a_committed_offset_never_goes_back_or_past_the_end(store: QueueStore) -> None:
    with store.open() as queue:
        queue.append("product", [record("a"), record("b")])
        queue.commit("lander", 2)
        queue.commit("lander", 2)
        with pytest.raises(QueueError, match="cannot go back to 1"):
            queue.commit("lander", 1)
        with pytest.raises(QueueError, match="the log ends at 2"):
            queue.commit("lander", 3)
        assert queue.committed("lander") == 2


def test_an_empty_or_too_large_append_is_refused_before_anything_is_stored(store: QueueStore) -> None:
    queue = store.open()
    with pytest.raises(QueueError, match="append of 0 records"):
        queue.append("product", [])
    with pytest.raises(QueueError, match="append of 10001 records; send 1 to 10000"):
        queue.append("product", [record("a")] * (MAX_BATCH_RECORDS + 1))
    with pytest.raises(QueueError, match="at most 16777216 bytes"):
        queue.append("product", [record("a", payload="x" * MAX_BATCH_BYTES)])
    for name in ("nul\x00", "lone\ud800", "n" * 257):
        with pytest.raises(QueueError, match="at most 256 printable characters"):
            queue.submit(name, waiting("a"))
    with pytest.raises(QueueError, match="1 records with 2 receipt times"):
        queue.append("product", [record("a")], [1, 2])
    assert queue.status().size_bytes == 0


def test_a_closed_queue_opens_again_at_the_next_append(store: QueueStore) -> None:
    queue = store.open()
    queue.append("product", [record("a")])
    queue.close()
    queue.close()
    queue.append("product", [record("b")])
    queue.close()
    assert names(queue) == ["a", "b"]


class HeldClock:
    """A wall clock that holds the writer inside its first commit until it may go on."""

    def __init__(self) -> None:
        self.inside, self.go_on = threading.Event(), threading.Event()
        self._calls = iter(range(1_000_000))

    def __call__(self) -> int:
        if next(self._calls) == 1:
            self.inside.set()
            self.go_on.wait(PATIENCE_SECONDS)
        return 1_000_000


def waiting(name: str) -> Body:
    return Body(1, b'{"kind":"usage","id":"%s"}\n' % name.encode())


def test_appends_that_come_while_a_commit_runs_share_the_next_commit(store: QueueStore) -> None:
    clock = HeldClock()
    queue = store.open(wall_clock=clock, steady_clock=lambda: 0)
    first = threading.Thread(target=queue.append, args=("product", [record("first")]))
    first.start()
    assert clock.inside.wait(PATIENCE_SECONDS)
    futures = [queue.submit("product", waiting(str(i))) for i in range(10)]
    assert not any(future.done() for future in futures)
    clock.go_on.set()
    assert [future.result().start for future in futures] == list(range(1, 11))
    first.join()
    commits = vars(queue)["_writer"].commits
    queue.close()
    assert commits == 2


def test_an_append_that_finds_no_room_in_time_says_so_and_takes_nothing_in(
    store: QueueStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_buffer, "MAX_BUFFER_BYTES", 1)
    clock = HeldClock()
    queue = store.open(wall_clock=clock, steady_clock=lambda: 0, buffer_timeout_seconds=0.05)
    first = threading.Thread(target=queue.append, args=("product", [record("first")]))
    first.start()
    assert clock.inside.wait(PATIENCE_SECONDS)
    second = queue.submit("product", waiting("second"))
    with pytest.raises(QueueFullError, match="buffer is full"):
        queue.append("product", [record("refused")])
    clock.go_on.set()
    assert second.result() == range(1, 2)
    first.join()
    queue.close()
    assert names(queue) == ["first", "second"]


def test_who_keeps_the_turn_appends_a_history_that_nobody_overtakes(store: QueueStore) -> None:
    """What another one appends meanwhile waits, and stands behind it."""
    with store.open() as history, store.open() as gateway:
        gateway.append("gateway", [record("before")], [1])
        with history.keep_turn():
            history.append("import", [record("first")], [10])
            waiting_one = gateway.submit("gateway", waiting("between"))
            for turn in range(20):
                history.append("import", [record(f"{turn}")], [10 + turn])
        assert waiting_one.result(PATIENCE_SECONDS) == range(22, 23)
        assert names(history) == ["before", "first", *map(str, range(20)), "between"]


def history(queue: StoredQueue, batches: int) -> None:
    """Batches of two records each; the one at offset 2n is received at 100 + n."""
    for turn in range(batches):
        queue.append("import", [record(f"{turn}/0"), record(f"{turn}/1")], [100 + turn] * 2)


def test_pruning_deletes_what_is_landed_and_old_and_the_log_goes_on(store: QueueStore) -> None:
    with store.open() as queue:
        history(queue, 6)
        queue.commit(LANDING, 8)
        pruned = queue.prune(8, 103)
        assert (pruned.batches, pruned.records, pruned.first_kept_offset) == (3, 6, 6)
        assert pruned.size_bytes > 0
        assert [batch.first_offset for batch in queue.read_from(6, 100)] == [6, 8, 10]
        assert [batch.first_offset for batch in queue.read(LANDING, 100)] == [8, 10]
        assert queue.status().first_kept_offset == 6
        assert queue.prune(8, 103) == Pruned(0, 0, 0, 6)
        assert queue.append("product", [record("next")]) == range(12, 13)


def test_reading_what_was_pruned_says_where_it_is_now(store: QueueStore) -> None:
    with store.open() as queue:
        history(queue, 3)
        queue.commit(LANDING, 6)
        queue.prune(6, 102)
        with pytest.raises(QueuePrunedError, match="look for it in raw_usage_events") as error:
            queue.read_from(3, 10)
        assert (error.value.offset, error.value.first_kept_offset) == (3, 4)
        with pytest.raises(QueuePrunedError):
            queue.read("auditor", 10)


def test_the_last_batch_is_never_pruned_so_that_offsets_and_clock_survive(store: QueueStore) -> None:
    with store.open() as queue:
        history(queue, 3)
        queue.commit(LANDING, 6)
        assert queue.prune(6, 10**15).first_kept_offset == 4
    with store.open() as queue:
        assert (queue.next_offset(), queue.clock()) == (6, 102)
        with pytest.raises(ClockError):
            queue.append("import", [record("early")], [101])


def test_what_is_not_landed_cannot_be_pruned(store: QueueStore) -> None:
    with store.open() as queue:
        history(queue, 3)
        queue.commit(LANDING, 3)
        queue.commit("somebody else", 6)
        with pytest.raises(QueueError, match="only 3 records have been landed"):
            queue.prune(4, 10**15)
        assert queue.prune(3, 10**15) == Pruned(1, 2, 2 * RECORD_BYTES, 2)


def test_many_batches_are_pruned_stretch_by_stretch(
    store: QueueStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_pruning, "STRETCH_BATCHES", 2)
    monkeypatch.setattr(postgres_pruning, "STRETCH_BATCHES", 2)
    with store.open() as queue:
        history(queue, 8)
        queue.commit(LANDING, 16)
        assert queue.prune(16, 10**15) == Pruned(7, 14, 14 * RECORD_BYTES, 14)
        assert names(queue, 14) == ["7/0", "7/1"]
