"""The durable queue in one SQLite file: the embedded default, for one machine."""

import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.log_lines import Body, body_of, record_line
from billing_pipeline.errors import QueueCorruptError, QueueError, QueueFailedError, QueuePrunedError
from billing_pipeline.ingest.consumers import Consumers
from billing_pipeline.ingest.queue import Batch, QueueStatus, check_producer, check_size
from billing_pipeline.ingest.queue_clock import steady_clock_us, wall_clock_us
from billing_pipeline.ingest.queue_file import batches_from, log_end, reader
from billing_pipeline.ingest.queue_writer import QueueWriter
from billing_pipeline.ingest.sqlite_pruning import first_kept_offset, prune_file
from billing_pipeline.ingest.stored_batch import LogEnd
from billing_pipeline.ingest.stored_queue import LANDING, Pruned, check_landed
from billing_pipeline.ingest.write_buffer import Advance, Append

MAX_READ_BYTES = 256 * 1024 * 1024
"""Bodies returned by one read, so that a reader's memory is bounded; the rest comes with the next read."""


class SqliteQueue:
    """A `Queue` in `path`, with the groups' offsets in `consumers.sqlite` beside it.

    Reading takes no lock and never writes the file. Writers, of this process or others, take turns: the first
    `append` or `advance` takes the lock file (`<path>.lock`) and keeps it until another writer wants it, or until
    `close`; the next `append` after `close` opens the writer anew. Use it as a context manager, or close it. All
    methods may be called from many threads at once.

    Args:
        path: the queue file; folders are made as needed.
        wall_clock: UTC µs.
        steady_clock: µs of a clock that nobody sets; against it a jump of the wall clock is found.
        lock_timeout_seconds: how long an append waits for its turn while another writer has the file.
        buffer_timeout_seconds: how long an append waits for room while the disk is behind.
        on_failure: called once, by a thread of the queue's, when what the disk holds has become unknown and nothing
            more will be written: the process should end with an error.
    """

    def __init__(
        self,
        path: Path,
        *,
        wall_clock: Callable[[], int] = wall_clock_us,
        steady_clock: Callable[[], int] = steady_clock_us,
        lock_timeout_seconds: float = 10.0,
        buffer_timeout_seconds: float = 30.0,
        on_failure: Callable[[QueueFailedError], None] | None = None,
    ) -> None:
        self.path = path
        self._wall_clock = wall_clock
        self._steady_clock = steady_clock
        self._lock_timeout_seconds = lock_timeout_seconds
        self._buffer_timeout_seconds = buffer_timeout_seconds
        self._on_failure = on_failure
        self._consumers = Consumers(path.with_name("consumers.sqlite"))
        self._writer: QueueWriter | None = None
        self._opening = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish what was handed in and release the writer's lock. A writer that has failed stays so."""
        with self._opening:
            if self._writer is not None:
                self._writer.close()
                if self._writer.failure is None:
                    self._writer = None

    def append(
        self, producer: str, records: Sequence[LogRecord], received_at: Sequence[int] | None = None
    ) -> range:
        """Append and return the offsets once they are durable. See `Queue.append`."""
        if received_at is not None and len(received_at) != len(records):
            raise QueueError(
                f"{len(records)} records with {len(received_at)} receipt times; give one for each"
            )
        body = body_of(map(record_line, records))
        check_producer(producer)
        check_size(body)
        request = Append(producer, body.count, body.lines, received_at)
        return self._open_writer().submit(request, self._buffer_timeout_seconds).result()

    @contextmanager
    def keep_turn(self) -> Iterator[None]:
        """Let no other writer in between the appends made within, whose receipt times it would overtake."""
        writer = self._open_writer()
        writer.keeps_turn = True
        try:
            yield
        finally:
            writer.keeps_turn = False

    def submit(self, producer: str, body: Body) -> Future[range]:
        """Hand lines in without waiting. See `Queue.submit`."""
        check_producer(producer)
        check_size(body)
        return self._open_writer().submit(Append(producer, body.count, body.lines), 0)

    def advance(self, to_us: int) -> None:
        """Move the clock on. See `Queue.advance`."""
        self._open_writer().submit(Advance(to_us), self._buffer_timeout_seconds).result()

    def read(self, group: str, max_batches: int) -> list[Batch]:
        """Batches from the group's committed offset on. See `Queue.read`."""
        return self._read(self.committed(group), max_batches=max_batches, max_records=sys.maxsize)

    def read_from(self, offset: int, max_records: int) -> list[Batch]:
        """Batches from the one that holds `offset` on. See `Queue.read_from`."""
        return self._read(offset, max_batches=sys.maxsize, max_records=max_records)

    def commit(self, group: str, next_offset: int) -> None:
        """Record how far the group is. See `Queue.commit`."""
        end = self.next_offset()
        if next_offset > end:
            raise QueueError(f"group {group!r} cannot commit offset {next_offset}: the log ends at {end}")
        self._consumers.commit(group, next_offset)

    def committed(self, group: str) -> int:
        """From where the group reads next. See `Queue.committed`."""
        return self._consumers.committed().get(group, 0)

    def clock(self) -> int:
        """The watermark in UTC µs. See `Queue.clock`."""
        return self._end().clock

    def next_offset(self) -> int:
        """The number of records in the log. See `Queue.next_offset`."""
        return self._end().next_offset

    def status(self) -> QueueStatus:
        """Offsets, clock, groups and size. See `Queue.status`."""
        end = self._end()
        files = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        return QueueStatus(
            location=str(self.path),
            next_offset=end.next_offset,
            last_received_at=end.last_received_at,
            advanced_to=end.advanced_to,
            size_bytes=sum(file.stat().st_size for file in files if file.exists()),
            engine=f"SQLite {sqlite3.sqlite_version}",
            committed=self._consumers.committed(),
            first_kept_offset=self._first_kept(),
        )

    def prune(self, below_offset: int, received_before_us: int) -> Pruned:
        """Delete what has been landed, in the writer's turn. See `StoredQueue.prune`."""
        check_landed(below_offset, self.committed(LANDING))
        return prune_file(self.path, below_offset, received_before_us, self._lock_timeout_seconds)

    def _open_writer(self) -> QueueWriter:
        with self._opening:
            if self._writer is None:
                self._writer = QueueWriter(
                    self.path,
                    wall_clock=self._wall_clock,
                    steady_clock=self._steady_clock,
                    lock_timeout_seconds=self._lock_timeout_seconds,
                    on_failure=self._on_failure,
                )
            return self._writer

    def _read(self, offset: int, *, max_batches: int, max_records: int) -> list[Batch]:
        batches: list[Batch] = []
        records = size_bytes = 0
        with reader(self.path) as connection:
            if connection is None:
                return batches
            if offset < (kept := first_kept_offset(connection)):
                raise QueuePrunedError(offset, kept)
            try:
                for row in batches_from(connection, self.path, offset):
                    records += row.batch.count
                    size_bytes += len(row.batch.body)
                    if batches and (records > max_records or size_bytes > MAX_READ_BYTES):
                        break
                    batches.append(row.batch)
                    if len(batches) == max_batches or records >= max_records:
                        break
            except QueueCorruptError:
                # What stands before the damage can still be landed; the next read begins at it and fails.
                if not batches:
                    raise
        return batches

    def _end(self) -> LogEnd:
        with reader(self.path) as connection:
            if connection is None:
                return LogEnd()
            return log_end(connection, self.path)

    def _first_kept(self) -> int:
        with reader(self.path) as connection:
            return 0 if connection is None else first_kept_offset(connection)
