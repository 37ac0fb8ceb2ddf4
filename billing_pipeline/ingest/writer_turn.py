"""Whose turn it is to write the queue file: one writer at a time, in this process or another, giving way in turn."""

import time
from pathlib import Path

from filelock import FileLock, Timeout

from billing_pipeline.errors import QueueLockedError

POLL_SECONDS = 0.005
"""How often a waiting writer looks whether it is its turn."""


class WriterTurn:
    """The right to write `path`: the lock file `<path>.lock`, with `<path>.wanted` as the place of whoever is next.

    Whoever wants to write takes `.wanted`, waits there for `.lock`, and then leaves `.wanted` to others. So who holds
    `.lock` sees by `.wanted` that somebody waits, and having given way cannot overtake them. Never do two hold the
    turn at once, as two writing connections can corrupt a WAL database (SQLite before 3.51.3). A process that ends,
    however it ends, leaves both locks.

    Not thread-safe: one writer's thread owns it.
    """

    def __init__(self, path: Path) -> None:
        self.held = False
        """Whether this writer has the turn."""
        self._lock_path = path.with_name(f"{path.name}.lock")
        self._lock = FileLock(self._lock_path, thread_local=False)
        self._wanted = FileLock(path.with_name(f"{path.name}.wanted"), thread_local=False)

    def take(self, timeout_seconds: float) -> None:
        """Wait for the turn.

        Raises:
            QueueLockedError: it did not come in time.
        """
        self._lock_path.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + timeout_seconds
        try:
            with self._wanted.acquire(timeout=timeout_seconds, poll_interval=POLL_SECONDS):
                rest_seconds = max(0.0, deadline - time.monotonic())
                self._lock.acquire(timeout=rest_seconds, poll_interval=POLL_SECONDS)
        except Timeout as error:
            raise QueueLockedError(str(self._lock_path), timeout_seconds) from error
        self.held = True

    def wanted(self) -> bool:
        """Whether another writer waits for the turn that this one has."""
        try:
            self._wanted.acquire(timeout=0)
        except Timeout:
            return True
        except OSError:
            # No file can be opened just now, say because too many are: that is no reason to end the turn.
            return False
        self._wanted.release()
        return False

    def give_way(self) -> None:
        """Let the next writer in. The writing connection must be closed by now."""
        self.held = False
        self._lock.release()
