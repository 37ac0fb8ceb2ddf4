"""The durable queue when processes and disks fail: what is acknowledged is stored, and nothing else."""

import random
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.errors import QueueLockedError
from billing_pipeline.ingest.sqlite_queue import SqliteQueue

PRELUDE = """
import sys, threading
from pathlib import Path
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.errors import QueueError
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
queue = SqliteQueue(Path(sys.argv[1]))
def records(name): return [LogRecord(kind="usage", payload="x" * 500, id=f"{name}/{i}") for i in range(5)]
"""

PRODUCER = """
def produce(worker):
    for turn in range(100_000):
        found = queue.append("producer", records(f"{sys.argv[2]}/{worker}/{turn}"))
        sys.stdout.write(f"{found.start} {sys.argv[2]}/{worker}/{turn}\\n")
        sys.stdout.flush()
for worker in range(4):
    threading.Thread(target=produce, args=(worker,)).start()
"""

HOLDER = """
queue.append("holder", records("held"))
print("ready", flush=True)
sys.stdin.read()
queue.append("holder", records("held again"))
queue.close()
"""

FULL_DISK = """
import resource
queue.append("producer", records("before"))
size = Path(sys.argv[1] + "-wal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 1000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
for expected in ("nothing of this batch is acknowledged", "close the queue and append again"):
    try:
        queue.append("producer", records("lost"))
    except QueueError as error:
        assert expected in str(error), error
    else:
        raise SystemExit("acknowledged, though the disk is full")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
try:
    queue.append("producer", records("lost"))
except QueueError:
    pass
else:
    raise SystemExit("written on after a failed commit without reopening")
queue.close()
queue.append("producer", records("after"))
queue.close()
"""


def start(code: str, path: Path, name: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PRELUDE + code), str(path), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def stored(path: Path) -> dict[int, str]:
    """The stored id by offset."""
    found: dict[int, str] = {}
    queue = SqliteQueue(path)
    while batches := queue.read_from(len(found), 10_000):
        for batch in batches:
            assert batch.first_offset == len(found)
            found |= {batch.first_offset + i: record.id or "" for i, record in enumerate(batch.records())}
    return found


def test_a_writer_killed_at_any_moment_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    chance = random.Random(8)
    acknowledged: dict[int, str] = {}
    for life in range(5):
        process = start(PRODUCER, path, f"life {life}")
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(chance.randrange(1, 200))]
        process.kill()
        rest, _ = process.communicate()
        # A line that the kill cut short is no acknowledgement that anybody has read.
        lines += [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]
        for line in lines:
            offset_text, name = line.strip().split(" ", 1)
            acknowledged[int(offset_text)] = name
    found = stored(path)
    for offset, name in acknowledged.items():
        assert [found[offset + i] for i in range(5)] == [f"{name}/{i}" for i in range(5)]
    with SqliteQueue(path) as queue:
        assert queue.append("after", [LogRecord(kind="usage", payload="{}")]).start == len(found)


def test_a_second_process_is_told_which_lock_to_wait_for_and_can_read_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    holder = start(HOLDER, path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "ready\n"
    queue = SqliteQueue(path, lock_timeout_seconds=0.1)
    with pytest.raises(QueueLockedError) as error:
        queue.append("second", [LogRecord(kind="usage", payload="{}")])
    assert error.value.lock_path == f"{path}.lock"
    assert queue.next_offset() == 5
    queue.commit("lander", 5)
    holder.communicate()
    assert holder.returncode == 0
    assert queue.append("second", [LogRecord(kind="usage", payload="{}")]) == range(10, 11)
    queue.close()


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_a_failed_commit_is_never_acknowledged_and_the_writer_stops_until_reopened(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    process = start(FULL_DISK, path)
    process.communicate()
    assert process.returncode == 0
    assert list(stored(path).values()) == [f"{name}/{i}" for name in ("before", "after") for i in range(5)]
