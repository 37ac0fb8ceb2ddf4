"""The durable queue when processes and disks fail: what is acknowledged is stored, and nothing else."""

import random
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from billing_pipeline.contract.log import LogRecord
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
from billing_pipeline.errors import QueueFailedError
failures = []
queue = SqliteQueue(Path(sys.argv[1]), on_failure=failures.append)
queue.append("producer", records("before"))
size = Path(sys.argv[1] + "-wal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 1000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
def refused():
    try:
        queue.append("producer", records("lost"))
    except QueueFailedError as error:
        assert "nothing of this batch is acknowledged" in str(error), error
    else:
        raise SystemExit("acknowledged, though the disk cannot be written")
refused()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
refused()
queue.close()
refused()
assert len(failures) == 1, failures
with SqliteQueue(Path(sys.argv[1])) as restarted:
    restarted.append("producer", records("after"))
"""

TINY_DISK = """
import os
def refused_until_full():
    acknowledged = []
    for turn in range(10_000):
        try:
            queue.append("producer", records(f"turn {turn}"))
        except QueueError as error:
            assert "SQLITE_FULL" in str(error), error
            return acknowledged
        acknowledged += [f"turn {turn}/{i}" for i in range(5)]
    raise SystemExit("never full")
ballast = Path(sys.argv[1]).with_name("ballast")
ballast.write_bytes(bytes(600_000))
expected = refused_until_full()
assert queue.next_offset() == len(expected)
ballast.unlink()
assert queue.append("producer", records("after")).start == len(expected)
expected += [f"after/{i}" for i in range(5)]
queue.close()
found = [record.id for batch in queue.read_from(0, 1_000_000) for record in batch.records()]
assert found == expected, (found, expected)
print(len(expected))
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


def test_a_second_process_gets_its_turn_to_write_and_can_read_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    holder = start(HOLDER, path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "ready\n"
    with SqliteQueue(path) as queue:
        assert queue.next_offset() == 5
        queue.commit("lander", 5)
        assert queue.append("second", [LogRecord(kind="usage", payload="{}")]) == range(5, 6)
        holder.communicate()
        assert holder.returncode == 0
        assert queue.append("second", [LogRecord(kind="usage", payload="{}")]) == range(11, 12)


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_a_commit_that_cannot_be_written_ends_the_writer_until_the_process_starts_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "queue.sqlite"
    process = start(FULL_DISK, path)
    process.communicate()
    assert process.returncode == 0
    assert list(stored(path).values()) == [f"{name}/{i}" for name in ("before", "after") for i in range(5)]


def test_a_full_disk_refuses_what_it_cannot_hold_and_takes_on_once_there_is_room(tmp_path: Path) -> None:
    """On a disk of 1 MiB in a user namespace of its own; skipped where that is not allowed."""
    mount = f'mount -t tmpfs -o size=1m tmpfs {tmp_path} && exec "$@"'
    alone = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("no mounts in user namespaces here")
    code = textwrap.dedent(PRELUDE + TINY_DISK)
    command = [*alone, sys.executable, "-c", code, str(tmp_path / "queue.sqlite")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 10
