"""Writers of one SQLite file take turns: who has just written does not overtake who waits."""

import threading
import time
from pathlib import Path

from billing_pipeline.guardrails.store.sqlite_turn import SqliteTurn

PATIENCE_SECONDS = 30


def wait_until_next(path: Path) -> None:
    """Until somebody has the place of whoever is next."""
    probe = SqliteTurn(path)
    deadline = time.monotonic() + PATIENCE_SECONDS
    probe.take(0)  # opens the files; the turn itself is held by another
    import fcntl

    while time.monotonic() < deadline:
        try:
            fcntl.flock(probe._files[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            break
        fcntl.flock(probe._files[0], fcntl.LOCK_UN)
        time.sleep(0.001)
    else:
        raise AssertionError("nobody waits")
    probe.close()


def test_who_waits_comes_before_who_has_just_written(tmp_path: Path) -> None:
    """A busy writer gives way and wants in again at once; the one that waited is first."""
    path = tmp_path / "control.sqlite"
    busy, waiting = SqliteTurn(path), SqliteTurn(path)
    order: list[str] = []

    def wait() -> None:
        waiting.take(PATIENCE_SECONDS)
        order.append("waiting")
        waiting.give_way()

    busy.take(PATIENCE_SECONDS)
    thread = threading.Thread(target=wait)
    thread.start()
    wait_until_next(path)
    busy.give_way()
    busy.take(PATIENCE_SECONDS)
    order.append("busy")
    thread.join()
    assert order == ["waiting", "busy"]
    busy.close()
    waiting.close()


def test_after_its_patience_a_writer_goes_on_without_the_turn(tmp_path: Path) -> None:
    """The turn is a courtesy: the database itself keeps writers apart. What ends leaves its turn to others."""
    path = tmp_path / "control.sqlite"
    stuck, other = SqliteTurn(path), SqliteTurn(path)
    stuck.take(PATIENCE_SECONDS)
    other.take(0.01)
    other.give_way()
    stuck.close()
    other.take(PATIENCE_SECONDS)
    other.close()


def test_where_no_file_can_be_locked_there_are_no_turns(tmp_path: Path) -> None:
    """A folder that is not there is for the database to complain about."""
    turn = SqliteTurn(tmp_path / "missing" / "control.sqlite")
    turn.take(PATIENCE_SECONDS)
    turn.give_way()
    turn.close()
