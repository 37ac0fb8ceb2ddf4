"""The durable queue in a SQLite file: what is there of it, and what becomes of a damaged one."""

import sqlite3
from pathlib import Path

import pytest
from filelock import FileLock

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.errors import QueueCorruptError, QueueError, QueueLockedError
from billing_pipeline.ingest.queue import Queue
from billing_pipeline.ingest.sqlite_queue import SqliteQueue


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


def test_committing_needs_no_writer_and_leaves_the_queue_file_alone(path: Path) -> None:
    with SqliteQueue(path) as queue:
        queue.append("product", [record("a")])
        before = {file.name: file.read_bytes() for file in path.parent.glob("queue.sqlite*")}
        SqliteQueue(path, lock_timeout_seconds=0).commit("lander", 1)
        after = {file.name: file.read_bytes() for file in path.parent.glob("queue.sqlite*")}
        assert {name for name in before if before[name] != after[name]} <= {"queue.sqlite-shm"}


def test_a_writer_that_finds_no_turn_in_time_names_the_lock_and_goes_on_when_there_is_one(path: Path) -> None:
    path.parent.mkdir()
    stopped = FileLock(f"{path}.lock", thread_local=False)
    with SqliteQueue(path, lock_timeout_seconds=0.1) as queue:
        with stopped, pytest.raises(QueueLockedError, match=r"queue\.sqlite\.lock") as error:
            queue.append("product", [record("a")])
        assert error.value.lock_path == f"{path}.lock"
        assert queue.append("product", [record("b")]) == range(1)


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
