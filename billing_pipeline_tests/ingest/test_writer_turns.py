"""Several writers of one queue file: they take turns, nobody starves, and nothing acknowledged is lost."""

import itertools
import subprocess
import sys
import textwrap
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

import pytest
from filelock import FileLock

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.log_lines import Body, record_line
from billing_pipeline.errors import ClockError, QueueFullError, QueueLockedError
from billing_pipeline.ingest import write_buffer
from billing_pipeline.ingest.queue_clock import MAX_FORWARD_JUMP_US
from billing_pipeline.ingest.queue_writer import LOOK_SECONDS
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
from billing_pipeline.ingest.writer_turn import WriterTurn

PATIENCE_SECONDS = 30
BUSY_WRITER = textwrap.dedent("""
    import sys, threading
    from pathlib import Path
    from billing_pipeline.contract.log import LogRecord
    from billing_pipeline.ingest.sqlite_queue import SqliteQueue
    path, name, seconds = sys.argv[1:]
    print("ready", flush=True)
    sys.stdin.readline()
    enough = threading.Event()
    threading.Timer(float(seconds), enough.set).start()
    with SqliteQueue(Path(path)) as queue:
        turn = 0
        while not enough.is_set():
            record = LogRecord(kind="usage", payload="x" * 300, id=f"{name}/{turn}")
            print(queue.append(name, [record]).start, record.id, flush=True)
            turn += 1
    """)


def record(name: str) -> LogRecord:
    return LogRecord(kind="usage", payload="{}", id=name)


def stored(path: Path) -> list[str | None]:
    queue = SqliteQueue(path)
    return [found.id for batch in queue.read_from(0, 10_000_000) for found in batch.records()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue.sqlite"


def start(path: Path, name: str, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BUSY_WRITER, str(path), name, str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def let_go(processes: Sequence[subprocess.Popen[str]]) -> None:
    """Have all begin at once."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def finish(process: subprocess.Popen[str]) -> list[str]:
    output, _ = process.communicate()
    assert process.returncode == 0
    return output.splitlines()


def told(line: str) -> tuple[int, str]:
    """The offset and the id that a process said were acknowledged."""
    offset, name = line.rstrip("\n").split(" ", 1)
    return int(offset), name


def write_at_once(path: Path, writers: int, seconds: float) -> list[dict[int, str]]:
    """What each of so many processes was acknowledged: id by offset."""
    processes = [start(path, f"writer {i}", seconds) for i in range(writers)]
    let_go(processes)
    # All are read at once: a process whose pipe is full would stop writing, and not for want of a turn.
    with ThreadPoolExecutor(1 + writers) as beside:
        enough = threading.Event()
        ends = beside.submit(read_until, path, enough)
        try:
            acknowledged = [dict(map(told, lines)) for lines in beside.map(finish, processes)]
        finally:
            enough.set()
        assert ends.result() == sorted(ends.result())
    return acknowledged


def read_until(path: Path, enough: threading.Event) -> list[int]:
    """The log's end again and again, as a reader sees it who never waits for a turn."""
    queue, ends = SqliteQueue(path), list[int]()
    while not enough.is_set():
        ends.append(queue.next_offset())
        queue.read_from(max(0, ends[-1] - 5), 10)
    return ends


def check_writers_at_once(path: Path, writers: int, seconds: float) -> None:
    acknowledged = write_at_once(path, writers, seconds)
    found = stored(path)
    everything = {offset: name for one in acknowledged for offset, name in one.items()}
    assert len(everything) == sum(map(len, acknowledged)) == len(found)
    assert all(found[offset] == name for offset, name in everything.items())
    turns = 1 + sum(
        (before or "").split("/")[0] != (after or "").split("/")[0]
        for before, after in itertools.pairwise(found)
    )
    print(f"{writers} writers, {turns} turns, acknowledged {[len(one) for one in acknowledged]}")  # noqa: T201
    assert all(acknowledged)
    assert turns > 2 * writers


def test_two_busy_processes_both_get_on_and_every_acknowledged_record_is_at_its_offset(path: Path) -> None:
    check_writers_at_once(path, writers=2, seconds=1.5)


def test_a_writer_killed_in_its_turn_leaves_it_to_the_other(path: Path) -> None:
    killed, other = start(path, "killed", 60), start(path, "other", 1.5)
    let_go([killed, other])
    assert killed.stdout is not None
    with ThreadPoolExecutor(1) as beside:
        rest = beside.submit(finish, other)
        lines = [killed.stdout.readline() for _ in range(50)]
        killed.kill()
        lines += killed.communicate()[0].splitlines(keepends=True)
        acknowledged = [told(line) for line in lines if line.endswith("\n")]
        acknowledged += [told(line) for line in rest.result()]
    found = stored(path)
    assert all(found[offset] == name for offset, name in acknowledged)
    assert {"killed", "other"} == {(name or "").split("/")[0] for name in found}


@pytest.mark.torture
def test_many_busy_processes_all_get_on_for_long(path: Path) -> None:
    check_writers_at_once(path, writers=8, seconds=60)


def test_an_idle_writer_gives_way_without_being_closed(path: Path) -> None:
    with SqliteQueue(path) as gateway, SqliteQueue(path) as command:
        for turn in range(3):
            gateway.append("gateway", [record(f"gateway {turn}")])
            command.append("command", [record(f"command {turn}")])
            command.advance(command.clock())
    assert stored(path) == [f"{name} {turn}" for turn in range(3) for name in ("gateway", "command")]


def test_who_waits_for_a_turn_is_before_who_has_just_had_one(path: Path) -> None:
    first, second = WriterTurn(path), WriterTurn(path)
    first.take(0)
    assert not first.wanted()
    waiting = threading.Thread(target=second.take, args=(PATIENCE_SECONDS,))
    waiting.start()
    while not first.wanted():
        pass
    first.give_way()
    # Whoever is faster: the one that waits stands at `.wanted` until it has the turn.
    with pytest.raises(QueueLockedError):
        first.take(0)
    waiting.join(PATIENCE_SECONDS)
    assert second.held
    assert not second.wanted()
    second.give_way()


def test_while_another_has_the_turn_requests_wait_in_the_buffer_up_to_its_bound(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_buffer, "MAX_BUFFER_REQUESTS", 2)
    other = FileLock(f"{path}.lock", thread_local=False)
    with SqliteQueue(path, lock_timeout_seconds=PATIENCE_SECONDS) as queue:
        with other:
            body = Body(1, b"{}\n")
            waiting = [queue.submit("product", body) for _ in range(2)]
            with pytest.raises(QueueFullError):
                queue.submit("product", body)
            assert not any(future.done() for future in waiting)
        assert [future.result(PATIENCE_SECONDS) for future in waiting] == [range(1), range(1, 2)]


def test_a_kept_turn_lets_nobody_in_between_until_it_ends(path: Path) -> None:
    with SqliteQueue(path) as history, SqliteQueue(path, lock_timeout_seconds=PATIENCE_SECONDS) as gateway:
        with history.keep_turn():
            history.append("import", [record("a")], [5])
            waiting = gateway.submit("gateway", Body(1, record_line(record("c")) + b"\n"))
            while not WriterTurn(path).wanted():
                pass
            sleep(5 * LOOK_SECONDS)
            history.append("import", [record("b")], [7])
        assert waiting.result(PATIENCE_SECONDS) == range(2, 3)
    assert stored(path) == ["a", "b", "c"]


def test_a_request_cancelled_while_it_waits_is_not_written_and_disturbs_nobody(path: Path) -> None:
    other = FileLock(f"{path}.lock", thread_local=False)
    with SqliteQueue(path, lock_timeout_seconds=PATIENCE_SECONDS) as queue:
        with other:
            body = Body(1, b"{}\n")
            gone, kept = (queue.submit("product", body) for _ in range(2))
            assert gone.cancel()
        assert kept.result(PATIENCE_SECONDS) == range(1)
        assert not kept.cancel()
        assert queue.next_offset() == 1


def test_what_is_known_of_the_wall_clock_outlasts_the_turn_of_another(path: Path) -> None:
    """A writer whose wall clock jumped while another wrote still refuses to stamp."""
    wall_us = [1_000_000]
    with (
        SqliteQueue(path, wall_clock=lambda: wall_us[0], steady_clock=lambda: 0) as gateway,
        SqliteQueue(path, wall_clock=lambda: 2_000_000, steady_clock=lambda: 0) as command,
    ):
        gateway.append("gateway", [record("a")])
        command.append("command", [record("b")])
        wall_us[0] += MAX_FORWARD_JUMP_US + 1
        with pytest.raises(ClockError, match="jumped forward"):
            gateway.append("gateway", [record("c")])
        wall_us[0] = 1_500_000
        gateway.append("gateway", [record("d")])
        assert [batch.received_at for batch in gateway.read_from(0, 10)] == [1_000_000, 2_000_000, 2_000_000]
