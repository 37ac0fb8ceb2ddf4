"""The queue's one writer: gathers concurrent appends into one transaction, answers each after its commit."""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from billing_pipeline.errors import ClockError, QueueError, QueueFullError, QueueLockedError
from billing_pipeline.ingest.queue import Batch, times_bytes
from billing_pipeline.ingest.queue_clock import QueueClock
from billing_pipeline.ingest.queue_file import BatchRow, connect_writer, insert_advance, insert_batch, log_end

MAX_BUFFER_BYTES = 64 * 1024 * 1024
"""Bodies that may wait for the disk; beyond it appends wait."""

MAX_BUFFER_REQUESTS = 4096
"""Appends that may wait for the disk; beyond it further ones wait."""


@dataclass(frozen=True, slots=True)
class Append:
    """A batch to be numbered, stamped and stored. `received_at` (UTC µs per record) only for imports."""

    producer: str
    count: int
    body: bytes
    received_at: Sequence[int] | None = None
    done: Future[range] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Advance:
    """The clock to be moved to an instant (UTC µs)."""

    to_us: int
    body: bytes = b""
    done: Future[range] = field(default_factory=Future)


class QueueWriter:
    """Holds the lock file, the writing connection and the thread that uses it, from `__init__` to `close`.

    After a failed commit the writer refuses everything: whether the disk has the transaction is unknown until
    the file is opened anew.

    Raises:
        QueueLockedError: another writer, in this process or another, has the file.
    """

    def __init__(
        self,
        path: Path,
        *,
        wall_clock: Callable[[], int],
        steady_clock: Callable[[], int],
        lock_timeout_seconds: float,
        buffer_timeout_seconds: float,
    ) -> None:
        self.commits = 0
        """Transactions committed; fewer than appends where they were gathered."""
        self._path = path
        self._buffer_timeout_seconds = buffer_timeout_seconds
        self._waiting: deque[Append | Advance] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._refusal: str | None = None
        self._lock = _take_lock(path, lock_timeout_seconds)
        try:
            self._connection = connect_writer(path)
            try:
                end = log_end(self._connection, path)
            except BaseException:
                self._connection.close()
                raise
        except BaseException as error:
            self._lock.release()
            if isinstance(error, sqlite3.Error):
                raise QueueError(f"{path} cannot be opened for writing: {error}") from error
            raise
        self._next_offset = end.next_offset
        self._clock = QueueClock(end.clock, wall_clock, steady_clock)
        self._thread = threading.Thread(target=self._run, name=f"writer of {path.name}", daemon=True)
        self._thread.start()

    def submit(self, request: Append | Advance, *, wait: bool = True) -> Future[range]:
        """Hand in a request; its future ends after the commit. Waits while the buffer is full, if it may.

        Raises:
            QueueFullError: there was no room in time; nothing was taken in.
            QueueError: the writer is closed, or an earlier commit failed.
        """
        timeout_seconds = self._buffer_timeout_seconds if wait else 0.0
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            while self._refusal is None and not self._has_room(request):
                if not self._changed.wait(max(0.0, deadline - time.monotonic())) and not self._has_room(
                    request
                ):
                    raise QueueFullError(self._waiting_bytes, timeout_seconds)
            if self._refusal is not None:
                raise QueueError(self._refusal)
            self._waiting.append(request)
            self._waiting_bytes += len(request.body)
            self._changed.notify_all()
        return request.done

    def close(self) -> None:
        """Finish what was handed in, checkpoint, and let the next writer in. Twice changes nothing."""
        with self._changed:
            self._refusal = self._refusal or f"the writer of {self._path} was closed; append again"
            self._changed.notify_all()
        self._thread.join()

    def _has_room(self, request: Append | Advance) -> bool:
        if not self._waiting:
            return True
        room = self._waiting_bytes + len(request.body) <= MAX_BUFFER_BYTES
        return room and len(self._waiting) < MAX_BUFFER_REQUESTS

    def _run(self) -> None:
        try:
            while group := self._take_group():
                self._write_group(group)
        finally:
            try:
                self._connection.close()
            finally:
                self._lock.release()

    def _take_group(self) -> list[Append | Advance]:
        """All that waits, as soon as anything does; empty when the writer is closed and nothing is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._refusal is not None)
            group = list(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0
            self._changed.notify_all()
        return group

    def _write_group(self, group: list[Append | Advance]) -> None:
        """One transaction for all requests; one whose times are not possible fails alone."""
        answers: list[tuple[Future[range], range | ClockError]] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for request in group:
                try:
                    answers.append((request.done, self._write(request)))
                except ClockError as error:
                    answers.append((request.done, error))
            self._connection.execute("COMMIT")
        except BaseException as error:  # noqa: BLE001 - whatever it was, nobody may wait for ever
            self._fail(group, error)
            return
        self.commits += 1
        for done, answer in answers:
            if isinstance(answer, ClockError):
                done.set_exception(answer)
            else:
                done.set_result(answer)

    def _write(self, request: Append | Advance) -> range:
        first_offset = self._next_offset
        if isinstance(request, Advance):
            self._clock.advance(request.to_us)
            insert_advance(self._connection, self._clock.value)
            return range(first_offset, first_offset)
        if request.received_at is None:
            stamp = first = self._clock.stamp()
            batch = Batch(first_offset, request.count, request.producer, stamp, request.body)
        else:
            self._clock.accept(request.received_at)
            first = request.received_at[0]
            times = times_bytes(request.received_at)
            batch = Batch(first_offset, request.count, request.producer, None, request.body, times)
        insert_batch(self._connection, BatchRow(batch, first, self._clock.value))
        self._next_offset = batch.next_offset
        return range(first_offset, self._next_offset)

    def _fail(self, group: list[Append | Advance], error: BaseException) -> None:
        reason = (
            f"{self._path} could not be written ({error}); nothing of this batch is acknowledged. "
            "See to the disk, close the queue and append again"
        )
        with self._changed:
            self._refusal = reason
            group += self._waiting
            self._waiting.clear()
            self._waiting_bytes = 0
            self._changed.notify_all()
        for request in group:
            failure = QueueError(reason)
            failure.__cause__ = error
            request.done.set_exception(failure)


def _take_lock(path: Path, timeout_seconds: float) -> FileLock:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock_path = path.with_name(f"{path.name}.lock")
    lock = FileLock(lock_path, thread_local=False)
    try:
        lock.acquire(timeout=timeout_seconds)
    except Timeout as error:
        raise QueueLockedError(str(lock_path), timeout_seconds) from error
    return lock
