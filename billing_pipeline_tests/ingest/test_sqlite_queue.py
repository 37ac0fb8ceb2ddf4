"""The durable queue: order, groups, limits and what is kept."""

import sqlite3
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.errors import QueueCorruptError, QueueError, QueueFullError, QueueLockedError
from billing_pipeline.ingest import write_buffer
from billing_pipeline.ingest.queue import MAX_BATCH_BYTES, MAX_BATCH_RECORDS, Queue
from billing_pipeline.ingest.sqlite_queue import SqliteQueue

PATIENCE_SECONDS = 30
"""A test that waits for another thread gives up after this time instead of hanging."""


def record(name: str, payload: str = "{}") -> LogRecord:
    return LogRecord(kind="usage", payload=payload, source="product", id=name, quantity="1.25")


def names(queue: Queue, offset: int = 0) -> list[str | None]:
    return [found.id for batch in queue.read_from(offset, 1_000_000) for found in batch.records()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue" / "queue.sqlite"


def test_an_untouched_queue_is_empty_and_reading_it_makes_no_file(path: Path) -> None:
    queue = SqliteQueue(path)
    assert queue.read("lander", 10) == []
    assert queue.read_from(0, 10) == []
    assert (queue.next_offset(), queue.clock(), queue.committed("lander")) == (0, 0, 0)
    assert queue.status().size_bytes == 0
    assert not path.parent.exists()


def test_what_append_returned_is_there_after_reopening(path: Path) -> None:
    with SqliteQueue(path) as queue:
        assert queue.append("one", [record("a"), record("b")]) == range(2)
    with SqliteQueue(path) as queue:
        assert queue.append("two", [record("c")]) == range(2, 3)
        assert names(queue) == ["a", "b", "c"]
        assert [batch.producer for batch in queue.read_from(0, 10)] == ["one", "two"]


def test_records_come_back_as_they_were_appended(path: Path) -> None:
    with SqliteQueue(path) as queue:
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


def test_sixteen_threads_get_dense_offsets_in_the_order_each_appended(path: Path) -> None:
    queue = SqliteQueue(path)
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


def test_a_group_reads_on_from_where_it_committed(path: Path) -> None:
    with SqliteQueue(path) as queue:
        for name in "abc":
            queue.append("product", [record(name), record(name)])
        assert [batch.first_offset for batch in queue.read("lander", 2)] == [0, 2]
        queue.commit("lander", 4)
        assert [batch.first_offset for batch in queue.read("lander", 2)] == [4]
        assert [batch.first_offset for batch in queue.read("auditor", 9)] == [0, 2, 4]
        queue.commit("lander", 6)
        assert queue.read("lander", 2) == []
    assert SqliteQueue(path).status().committed == {"lander": 6}


def test_reading_from_inside_a_batch_gives_that_batch_whole(path: Path) -> None:
    with SqliteQueue(path) as queue:
        queue.append("product", [record("a"), record("b"), record("c")])
        queue.append("product", [record("d")])
        assert [batch.first_offset for batch in queue.read_from(2, 100)] == [0, 3]
        assert [batch.first_offset for batch in queue.read_from(0, 1)] == [0]
        assert [batch.first_offset for batch in queue.read_from(0, 4)] == [0, 3]
        assert queue.read_from(4, 100) == []


def test_a_committed_offset_never_goes_back_or_past_the_end(path: Path) -> None:
    with SqliteQueue(path) as queue:
        queue.append("product", [record("a"), record("b")])
        queue.commit("lander", 2)
        queue.commit("lander", 2)
        with pytest.raises(QueueError, match="cannot go back to 1"):
            queue.commit("lander", 1)
        with pytest.raises(QueueError, match="the log ends at 2"):
            queue.commit("lander", 3)
        assert queue.committed("lander") == 2


def test_committing_needs_no_writer_and_leaves_the_queue_file_alone(path: Path) -> None:
    with SqliteQueue(path) as queue:
        queue.append("product", [record("a")])
        before = {file.name: file.read_bytes() for file in path.parent.glob("queue.sqlite*")}
        SqliteQueue(path, lock_timeout_seconds=0).commit("lander", 1)
        after = {file.name: file.read_bytes() for file in path.parent.glob("queue.sqlite*")}
        assert {name for name in before if before[name] != after[name]} <= {"queue.sqlite-shm"}


def test_an_empty_or_too_large_append_is_refused_before_anything_is_stored(path: Path) -> None:
    queue = SqliteQueue(path)
    with pytest.raises(QueueError, match="append of 0 records"):
        queue.append("product", [])
    with pytest.raises(QueueError, match="append of 10001 records; send 1 to 10000"):
        queue.append("product", [record("a")] * (MAX_BATCH_RECORDS + 1))
    with pytest.raises(QueueError, match="at most 16777216 bytes"):
        queue.append("product", [record("a", payload="x" * MAX_BATCH_BYTES)])
    with pytest.raises(QueueError, match="1 records with 2 receipt times"):
        queue.append("product", [record("a")], [1, 2])
    assert not path.exists()


def test_a_writer_that_finds_no_turn_in_time_names_the_lock_and_goes_on_when_there_is_one(path: Path) -> None:
    path.parent.mkdir()
    stopped = FileLock(f"{path}.lock", thread_local=False)
    with SqliteQueue(path, lock_timeout_seconds=0.1) as queue:
        with stopped, pytest.raises(QueueLockedError, match=r"queue\.sqlite\.lock") as error:
            queue.append("product", [record("a")])
        assert error.value.lock_path == f"{path}.lock"
        assert queue.append("product", [record("b")]) == range(1)


def test_a_closed_queue_opens_again_at_the_next_append(path: Path) -> None:
    queue = SqliteQueue(path)
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


def waiting(name: str) -> write_buffer.Append:
    return write_buffer.Append("product", 1, b'{"kind":"usage","id":"%s"}\n' % name.encode())


def test_appends_that_come_while_a_commit_runs_share_the_next_commit(path: Path) -> None:
    clock = HeldClock()
    queue = SqliteQueue(path, wall_clock=clock, steady_clock=lambda: 0)
    first = threading.Thread(target=queue.append, args=("product", [record("first")]))
    first.start()
    assert clock.inside.wait(PATIENCE_SECONDS)
    writer = queue._writer
    assert writer is not None
    futures = [writer.submit(waiting(str(i)), 0) for i in range(10)]
    assert not any(future.done() for future in futures)
    clock.go_on.set()
    assert [future.result().start for future in futures] == list(range(1, 11))
    first.join()
    queue.close()
    assert writer.commits == 2


def test_an_append_that_finds_no_room_in_time_says_so_and_takes_nothing_in(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_buffer, "MAX_BUFFER_BYTES", 1)
    clock = HeldClock()
    queue = SqliteQueue(path, wall_clock=clock, steady_clock=lambda: 0, buffer_timeout_seconds=0.05)
    first = threading.Thread(target=queue.append, args=("product", [record("first")]))
    first.start()
    assert clock.inside.wait(PATIENCE_SECONDS)
    assert queue._writer is not None
    second = queue._writer.submit(waiting("second"), 0)
    with pytest.raises(QueueFullError, match="buffer is full"):
        queue.append("product", [record("refused")])
    clock.go_on.set()
    assert second.result() == range(1, 2)
    first.join()
    queue.close()
    assert names(queue) == ["first", "second"]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE batches SET body = CAST(replace(body, '1.25', '1.26') AS BLOB) WHERE first_offset = 1",
        "UPDATE batches SET received_at = received_at - 1 WHERE first_offset = 1",
        "UPDATE batches SET last_received_at = last_received_at + 1 WHERE first_offset = 1",
        "UPDATE batches SET count = count + 1 WHERE first_offset = 1",
        "UPDATE batches SET producer = 'somebody else' WHERE first_offset = 1",
        "UPDATE batches SET body = CAST(body AS TEXT) WHERE first_offset = 1",
        "DELETE FROM batches WHERE first_offset = 1",
    ],
)
def test_a_damaged_or_missing_batch_is_found_and_those_before_it_can_be_read(path: Path, damage: str) -> None:
    with SqliteQueue(path) as queue:
        for name in "abc":
            queue.append("product", [record(name)])
    with sqlite3.connect(path) as connection:
        connection.execute(damage)
    connection.close()
    assert [batch.first_offset for batch in queue.read_from(0, 10)] == [0]
    with pytest.raises(QueueCorruptError) as error:
        queue.read_from(1, 10)
    assert error.value.first_offset == 1


def test_a_damaged_end_of_the_log_stops_the_writer_too(path: Path) -> None:
    with SqliteQueue(path) as queue:
        queue.append("product", [record("a")])
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE batches SET last_received_at = 0")
    connection.close()
    with pytest.raises(QueueCorruptError):
        queue.append("product", [record("b")])
    with pytest.raises(QueueCorruptError):
        queue.clock()


def test_a_file_of_another_version_or_no_database_is_refused(path: Path) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(QueueError, match="version 7"):
        SqliteQueue(path).append("product", [record("a")])
    path.write_bytes(b"no database, but long enough to look like one" * 100)
    with pytest.raises(QueueError, match="cannot be read"):
        SqliteQueue(path).clock()
    with pytest.raises(QueueError, match="cannot be opened for writing"):
        SqliteQueue(path).append("product", [record("a")])
