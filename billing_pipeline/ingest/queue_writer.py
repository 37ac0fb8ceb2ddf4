"""The queue's one writer: gathers concurrent appends into one transaction, answers each after its commit."""

import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from billing_pipeline.errors import ClockError, QueueError, QueueFailedError
from billing_pipeline.ingest.numbering import numbered
from billing_pipeline.ingest.queue_clock import QueueClock
from billing_pipeline.ingest.queue_failure import leaves_disk_unknown
from billing_pipeline.ingest.queue_file import (
    Connect,
    connect_writer,
    insert_advance,
    insert_batch,
    log_end,
)
from billing_pipeline.ingest.write_buffer import Advance, Append, WriteBuffer
from billing_pipeline.ingest.writer_turn import WriterTurn

LOOK_SECONDS = 0.05
"""How often the writer looks whether another one wants in; while there is work its turn lasts at least this long."""

CHECKPOINT_BYTES = 4 * 1024 * 1024
"""What may be added to the WAL before it is moved into the file."""

COMMIT_OVERHEAD_BYTES = 16 * 1024
"""What a commit adds to the WAL besides its bodies: about this much in pages that are only partly used."""


class QueueWriter:
    """The thread that writes, and the buffer from which it does, from `__init__` to `close`.

    The file and its lock are taken when something is to be written and kept until another writer, in this process or
    another, wants to write; then they take turns. Between turns requests wait in the buffer.

    A write that fails before its commit, or finds the disk full, fails its requests and is taken back; the writer goes
    on. An error that leaves unknown what is on disk ends it: everything is refused from then on.

    Args:
        path: the queue file.
        wall_clock: UTC µs.
        steady_clock: µs of a clock that nobody sets.
        lock_timeout_seconds: how long requests wait for the writer's turn.
        on_failure: called once, by the writer's thread, when the writer has failed for good.
        connect: opens the file.
    """

    def __init__(
        self,
        path: Path,
        *,
        wall_clock: Callable[[], int],
        steady_clock: Callable[[], int],
        lock_timeout_seconds: float,
        on_failure: Callable[[QueueFailedError], None] | None = None,
        connect: Connect = sqlite3.connect,
    ) -> None:
        self.commits = 0
        """Transactions committed; fewer than appends where they were gathered."""
        self.failure: QueueFailedError | None = None
        """Why the writer has failed for good."""
        self.keeps_turn = False
        """Whether no other writer is let in though one wants to write."""
        self._path = path
        self._lock_timeout_seconds = lock_timeout_seconds
        self._on_failure = on_failure
        self._connect = connect
        self._buffer = WriteBuffer()
        self._turn = WriterTurn(path)
        self._connection: sqlite3.Connection | None = None
        self._next_look_seconds = 0.0
        self._next_offset = 0
        self._unmoved_bytes = 0
        # One clock for all turns: what it knows of the wall clock must not be forgotten between them.
        self._clock = QueueClock(0, wall_clock, steady_clock)
        self._thread = threading.Thread(target=self._run, name=f"writer of {path.name}", daemon=True)
        self._thread.start()

    def submit(self, request: Append | Advance, wait_seconds: float) -> Future[range]:
        """Hand in a request; its future ends after the commit. Waits that long while the buffer is full.

        Raises:
            QueueFullError: there was no room in time; nothing was taken in.
            QueueFailedError: the writer has failed for good.
            QueueError: the writer is closed.
        """
        self._buffer.put(request, wait_seconds)
        return request.done

    def close(self) -> None:
        """Finish what was handed in, checkpoint, and let the next writer in. Twice changes nothing."""
        self._buffer.refuse(lambda: QueueError(f"the writer of {self._path} was closed; append again"))
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        try:
            self._write_in_turns()
        except BaseException as error:  # noqa: BLE001 - a thread that ended silently would let everybody wait
            self._fail([], error)

    def _write_in_turns(self) -> None:
        while self._buffer.wait(LOOK_SECONDS if self._turn.held else None):
            # What waits stays in the buffer, and counts there, until it can be written.
            if self._turn.held or self._take_turn():
                if group := self._buffer.take():
                    self._write_group(group)
                self._give_way_if_wanted()
        self._give_way()

    def _take_turn(self) -> bool:
        try:
            self._turn.take(self._lock_timeout_seconds)
            self._connection = connect_writer(self._path, self._connect)
            self._read_end()
        except BaseException as error:  # noqa: BLE001 - whatever it was, nobody may wait for ever
            self._leave()
            if leaves_disk_unknown(error, committing=False):
                self._fail([], error)
            else:
                _refuse(self._buffer.take(), self._not_opened(error))
            return False
        self._next_look_seconds = time.monotonic() + LOOK_SECONDS
        return True

    def _not_opened(self, error: BaseException) -> Callable[[], QueueError]:
        if isinstance(error, QueueError):
            return lambda: error
        text = f"{self._path} cannot be opened for writing: {_reason(error)}"
        return lambda: QueueError(text)

    def _give_way_if_wanted(self) -> None:
        now = time.monotonic()
        if self._turn.held and not self.keeps_turn and now >= self._next_look_seconds:
            self._next_look_seconds = now + LOOK_SECONDS
            if self._turn.wanted():
                self._give_way()

    def _give_way(self) -> None:
        if self._turn.held:
            self._checkpoint()
        self._leave()

    def _leave(self) -> None:
        """Close the connection, then let the next writer in; in this order, as two must never be open at once."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
        if self._turn.held:
            self._turn.give_way()

    def _read_end(self) -> None:
        end = log_end(self._open_connection, self._path)
        self._next_offset, self._clock.value = end.next_offset, end.clock

    @property
    def _open_connection(self) -> sqlite3.Connection:
        assert self._connection is not None, "only who has the turn reads and writes"  # noqa: S101
        return self._connection

    def _write_group(self, group: list[Append | Advance]) -> None:
        """One transaction for all requests; one whose times are not possible fails alone."""
        answers: list[tuple[Future[range], range | ClockError]] = []
        committing = False
        try:
            self._open_connection.execute("BEGIN IMMEDIATE")
            for request in group:
                try:
                    answers.append((request.done, self._write(request)))
                except ClockError as error:
                    answers.append((request.done, error))
            committing = True
            self._open_connection.execute("COMMIT")
        except BaseException as error:  # noqa: BLE001 - whatever it was, nobody may wait for ever
            if leaves_disk_unknown(error, committing=committing):
                self._fail(group, error)
            else:
                self._take_back(group, error)
            return
        self.commits += 1
        for done, answer in answers:
            if isinstance(answer, ClockError):
                done.set_exception(answer)
            else:
                done.set_result(answer)
        self._unmoved_bytes += COMMIT_OVERHEAD_BYTES + sum(len(request.body) for request in group)
        if self._unmoved_bytes >= CHECKPOINT_BYTES:
            self._checkpoint()

    def _write(self, request: Append | Advance) -> range:
        first_offset = self._next_offset
        connection = self._open_connection
        if isinstance(request, Advance):
            self._clock.advance(request.to_us)
            insert_advance(connection, self._clock.value)
            return range(first_offset, first_offset)
        row = numbered(request, first_offset, self._clock)
        insert_batch(connection, row)
        self._next_offset = row.batch.next_offset
        return range(first_offset, self._next_offset)

    def _checkpoint(self) -> None:
        """Move the WAL into the file, as far as no reader needs it; one that is not moved now is moved later."""
        self._unmoved_bytes = 0
        try:
            self._open_connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            if leaves_disk_unknown(error, committing=True):
                self._fail([], error)

    def _take_back(self, group: list[Append | Advance], error: BaseException) -> None:
        """Nothing of the group is stored: roll back, and go on from what the file says."""
        try:
            if self._open_connection.in_transaction:
                self._open_connection.execute("ROLLBACK")
            self._read_end()
        except BaseException as unknown:  # noqa: BLE001 - whatever it was, nobody may wait for ever
            self._fail(group, unknown)
            return
        text = (
            f"{self._path} could not be written ({_reason(error)}); nothing of this batch is acknowledged. "
            "See to the disk and append again"
        )
        _refuse(group, lambda: QueueError(text))

    def _fail(self, group: list[Append | Advance], error: BaseException) -> None:
        if self.failure is not None:
            return
        path, reason = str(self._path), _reason(error)
        self.failure = QueueFailedError(path, reason)
        self.failure.__cause__ = error
        self._buffer.refuse(lambda: QueueFailedError(path, reason))
        _refuse(group + self._buffer.take(), lambda: QueueFailedError(path, reason))
        # Closing moves into the file what was committed and synced before; the failed commit is not part of it.
        self._leave()
        if self._on_failure is not None:
            self._on_failure(self.failure)


def _refuse(requests: list[Append | Advance], refusal: Callable[[], QueueError]) -> None:
    for request in requests:
        request.done.set_exception(refusal())


def _reason(error: BaseException) -> str:
    name: str | None = getattr(error, "sqlite_errorname", None)
    return f"{error}, {name}" if name else f"{error}"
