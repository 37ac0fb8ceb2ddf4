"""Whose turn it is to write among the ledger's writers on one SQLite file, in this process or another.

It is only a courtesy: `BEGIN IMMEDIATE` keeps writers apart. But SQLite lets whoever has just written write again, and
who waits looks only every 100 ms whether it may: a kill switch would wait a second for busy writers to let it in.
"""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

POLL_SECONDS = 0.001
"""How often a waiting writer looks whether it is its turn."""


class SqliteTurn:
    """The lock file `<path>.guard.lock`, with `<path>.guard.next` as the place of whoever is next.

    Whoever wants to write takes `.next`, waits there for `.lock`, and then leaves `.next` to others: so having given
    way it cannot overtake them. A process that ends, however it ends, leaves both. Where files cannot be locked there
    are no turns.

    Not thread-safe: one writer's thread owns it.
    """

    def __init__(self, path: Path) -> None:
        self._paths = [path.with_name(f"{path.name}.guard.{name}") for name in ("next", "lock")]
        self._files: list[int] = []

    def take(self, timeout_seconds: float) -> None:
        """Wait for the turn; after so long go on without it."""
        if sys.platform == "win32":
            return
        deadline = time.monotonic() + timeout_seconds
        with suppress(OSError):
            if not self._files:
                self._files = [
                    os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644) for path in self._paths
                ]
            is_next, is_my_turn = self._files
            if _lock(is_next, deadline):
                _lock(is_my_turn, deadline)
                fcntl.flock(is_next, fcntl.LOCK_UN)

    def give_way(self) -> None:
        """Let the next writer in."""
        if sys.platform != "win32" and self._files:
            with suppress(OSError):
                fcntl.flock(self._files[1], fcntl.LOCK_UN)

    def close(self) -> None:
        """Leave the files; locks end with that."""
        files, self._files = self._files, []
        for file in files:
            with suppress(OSError):
                os.close(file)


def _lock(file: int, deadline: float) -> bool:
    while sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_SECONDS)
        else:
            return True
    return False
