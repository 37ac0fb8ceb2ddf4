"""The writer of a process: gathers concurrent appends into one transaction of PostgreSQL, answers each after it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future

import psycopg
from psycopg import Connection

from billing_pipeline.errors import ClockError, QueueError
from billing_pipeline.ingest.numbering import numbered
from billing_pipeline.ingest.postgres_rows import UnconfirmedError, lock_end, server_time_us, store
from billing_pipeline.ingest.postgres_server import PostgresServer, first_line, refuse_unsafe
from billing_pipeline.ingest.postgres_tables import make_tables
from billing_pipeline.ingest.queue_clock import QueueClock
from billing_pipeline.ingest.stored_batch import BatchRow, LogEnd
from billing_pipeline.ingest.write_buffer import Advance, Append, WriteBuffer

SKEW_ALLOWED_US = 60_000_000
"""How far the clock of a machine that moves the queue's clock to its own now may be ahead of the server's."""

Answer = tuple[Future[range], range | ClockError]


class PostgresWriter:
    """The thread that appends, and the buffer from which it does, from `__init__` to `close`.

    The wall clock is the server's: every process that appends sees the same one, so none of them can run ahead and
    hold the others at its time. Processes take turns at the row that ends the log, transaction by transaction.

    What fails, fails the requests of its transaction; the next ones connect anew. A connection lost before anything
    was sent for storing is replaced once without anybody noticing.

    Args:
        server: where the tables are, or will be made.
        wall_clock: UTC µs, in place of the server's clock.
        steady_clock: µs of a clock that nobody sets; against it a jump of the wall clock is found.
    """

    def __init__(
        self,
        server: PostgresServer,
        *,
        wall_clock: Callable[[], int] | None,
        steady_clock: Callable[[], int],
    ) -> None:
        self.commits = 0
        """Transactions committed; fewer than appends where they were gathered."""
        self.has_turn = False
        """Whether the turn to append was taken for this writer, so that it need not wait for it."""
        self._server = server
        self._server_time_us = 0
        self._wall_clock = wall_clock or (lambda: self._server_time_us)
        self._steady_clock = steady_clock
        self._clock: QueueClock | None = (
            None if wall_clock is None else QueueClock(0, wall_clock, steady_clock)
        )
        self._connection: Connection | None = None
        self._buffer = WriteBuffer()
        self._thread = threading.Thread(target=self._run, name="writer of the queue", daemon=True)
        self._thread.start()

    def submit(self, request: Append | Advance, wait_seconds: float) -> Future[range]:
        """Hand in a request; its future ends after the commit. Waits that long while the buffer is full.

        Raises:
            QueueFullError: there was no room in time; nothing was taken in.
            QueueError: the writer is closed.
        """
        self._buffer.put(request, wait_seconds)
        return request.done

    def close(self) -> None:
        """Finish what was handed in and leave the server. Twice changes nothing."""
        self._refuse_more(f"the writer of {self._server.location} was closed; append again")
        self._thread.join()

    def _refuse_more(self, reason: str) -> None:
        self._buffer.refuse(lambda: QueueError(reason))

    def _run(self) -> None:
        try:
            while self._buffer.wait(None):
                if group := self._buffer.take():
                    self._write_group(group)
        finally:
            # Also after a fault of ours: a thread that ended silently would let everybody wait.
            self._refuse_more(
                f"the writer of {self._server.location} has ended; see to the log, and start it again"
            )
            _refuse(
                self._buffer.take(),
                "the writer of the queue has ended; nothing of this batch is acknowledged",
            )
            self._leave()

    def _write_group(self, group: list[Append | Advance]) -> None:
        """One transaction for all requests; one whose times are not possible fails alone."""
        storing = False
        try:
            connection, end = self._begin()
            rows, answers, end = self._number(group, end)
            storing = True
            store(connection, rows, end)
        except BaseException as error:  # noqa: BLE001 - whatever it was, nobody may wait for ever
            # The server takes back an open transaction with its connection.
            lost = self._connection is None or self._connection.broken
            self._leave()
            _refuse(
                group,
                self._told(error, unknown=storing and (lost or isinstance(error, UnconfirmedError))),
                error,
            )
            return
        self.commits += 1
        for done, answer in answers:
            if isinstance(answer, ClockError):
                done.set_exception(answer)
            else:
                done.set_result(answer)

    def _begin(self) -> tuple[Connection, LogEnd]:
        if self._connection is not None:
            try:
                return self._connection, self._lock(self._connection)
            except psycopg.OperationalError:
                # The server was restarted, say: nothing is under way yet, so that it can be tried once more.
                if not self._connection.broken:
                    raise
                self._leave()
        self._connection = connection = self._server.connect()
        refuse_unsafe(connection, self._server.location)
        make_tables(connection, self._server.location)
        if self._clock is None:
            self._server_time_us = server_time_us(connection)
            self._clock = QueueClock(0, self._wall_clock, self._steady_clock)
        return connection, self._lock(connection)

    def _lock(self, connection: Connection) -> LogEnd:
        end, self._server_time_us = lock_end(connection, has_turn=self.has_turn)
        return end

    def _number(
        self, group: list[Append | Advance], end: LogEnd
    ) -> tuple[list[BatchRow], list[Answer], LogEnd]:
        """What is to be stored, what is to be answered then, and where the log ends then."""
        assert self._clock is not None, "it is made with the first connection"  # noqa: S101
        self._clock.value = end.clock
        next_offset, last_received_at, advanced_to = end.next_offset, end.last_received_at, end.advanced_to
        rows: list[BatchRow] = []
        answers: list[Answer] = []
        for request in group:
            try:
                if isinstance(request, Advance):
                    self._clock.advance(self._within_skew(request.to_us))
                    advanced_to = self._clock.value
                    answers.append((request.done, range(next_offset, next_offset)))
                    continue
                row = numbered(request, next_offset, self._clock)
            except ClockError as error:
                answers.append((request.done, error))
                continue
            rows.append(row)
            answers.append((request.done, range(next_offset, row.batch.next_offset)))
            next_offset, last_received_at = row.batch.next_offset, row.last_received_at
        return rows, answers, LogEnd(next_offset, last_received_at, advanced_to, end.first_kept_offset)

    def _within_skew(self, to_us: int) -> int:
        """An instant that is now by the clock of a machine a little ahead of the server's: now by the server's."""
        now = self._wall_clock()
        if now < to_us <= now + SKEW_ALLOWED_US:
            return max(now, self._clock.value) if self._clock else now
        return to_us

    def _told(self, error: BaseException, *, unknown: bool) -> str:
        if isinstance(error, QueueError):
            return str(error)
        outcome = (
            "whether this batch is stored is unknown: send the same events again, with the same ids; what is there "
            "twice counts once"
            if unknown
            else "nothing of this batch is stored; see to the server and append again"
        )
        return f"{self._server.location} could not be written ({first_line(error)}); {outcome}"

    def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _refuse(requests: list[Append | Advance], reason: str, cause: BaseException | None = None) -> None:
    for request in requests:
        failure = QueueError(reason)
        failure.__cause__ = cause
        request.done.set_exception(failure)
