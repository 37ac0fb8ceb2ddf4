"""The durable queue in PostgreSQL: for gateways on several machines, and a log that outlasts one of them."""

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import psycopg
from psycopg import Connection

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.log_lines import Body, body_of, record_line
from billing_pipeline.errors import QueueError
from billing_pipeline.ingest.postgres_pruning import prune_tables
from billing_pipeline.ingest.postgres_reader import PostgresReader
from billing_pipeline.ingest.postgres_reading import read_batches
from billing_pipeline.ingest.postgres_rows import log_end, take_turn
from billing_pipeline.ingest.postgres_server import (
    PostgresServer,
    durability_faults,
    first_line,
    refuse_unsafe,
)
from billing_pipeline.ingest.postgres_tables import are_made, make_tables
from billing_pipeline.ingest.postgres_writer import PostgresWriter
from billing_pipeline.ingest.queue import Batch, QueueStatus, check_producer, check_size
from billing_pipeline.ingest.queue_clock import steady_clock_us
from billing_pipeline.ingest.stored_batch import LogEnd
from billing_pipeline.ingest.stored_queue import LANDING, Pruned, check_landed
from billing_pipeline.ingest.write_buffer import Advance, Append


class PostgresQueue:
    """A `Queue` in a database, or a schema of one; any number of processes on any number of machines append and read.

    The first `append` or `advance` makes the tables where there are none. Use it as a context manager, or close it;
    what comes after `close` connects anew. All methods may be called from many threads at once.

    Args:
        url: `postgresql://user@host:port/database`; `?options=-csearch_path%3DNAME` puts the tables into a schema.
        wall_clock: UTC µs, in place of the server's clock.
        steady_clock: µs of a clock that nobody sets; against it a jump of the wall clock is found.
        buffer_timeout_seconds: how long an append waits for room while the server is behind.

    Raises:
        SettingsError: the URL cannot be read.
    """

    def __init__(
        self,
        url: str,
        *,
        wall_clock: Callable[[], int] | None = None,
        steady_clock: Callable[[], int] = steady_clock_us,
        buffer_timeout_seconds: float = 30.0,
    ) -> None:
        self.server = PostgresServer.of_url(url)
        self._wall_clock = wall_clock
        self._steady_clock = steady_clock
        self._buffer_timeout_seconds = buffer_timeout_seconds
        self._writer: PostgresWriter | None = None
        self._opening = threading.Lock()
        self._reader = PostgresReader(self.server)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish what was handed in and leave the server."""
        with self._opening:
            writer, self._writer = self._writer, None
            if writer is not None:
                writer.close()
        self._reader.close()

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
        """Let nobody else append in between the appends made within. See `StoredQueue.keep_turn`."""
        connection = self.server.connect()
        try:
            refuse_unsafe(connection, self.server.location)
            make_tables(connection, self.server.location)
            try:
                take_turn(connection)
            except psycopg.Error as error:
                raise QueueError(
                    f"{self.server.location}: another import keeps the queue ({first_line(error)}); try again later"
                ) from error
            writer = self._open_writer()
            writer.has_turn = True
            try:
                yield
            finally:
                writer.has_turn = False
        finally:
            connection.close()

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

        def store(connection: Connection) -> int:
            stored = connection.execute(
                "INSERT INTO queue_groups AS before VALUES (%s, %s) ON CONFLICT (consumer_group) DO UPDATE "
                "SET next_offset = greatest(before.next_offset, excluded.next_offset) RETURNING next_offset",
                (group, next_offset),
            ).fetchone()
            return next_offset if stored is None else int(stored[0])

        before = self._reader.ask(store, next_offset)
        if before > next_offset:
            raise QueueError(
                f"group {group!r} has committed offset {before} and cannot go back to {next_offset}; "
                "to read again, use another group name"
            )

    def committed(self, group: str) -> int:
        """From where the group reads next. See `Queue.committed`."""
        nobody: dict[str, int] = {}
        return self._reader.ask(_committed, nobody).get(group, 0)

    def clock(self) -> int:
        """The watermark in UTC µs. See `Queue.clock`."""
        return self._reader.ask(log_end, LogEnd()).clock

    def next_offset(self) -> int:
        """The number of records in the log. See `Queue.next_offset`."""
        return self._reader.ask(log_end, LogEnd()).next_offset

    def status(self) -> QueueStatus:
        """Offsets, clock, groups and size. See `Queue.status`."""
        return self._reader.ask(
            self._status, QueueStatus(self.server.location, 0, None, None, 0, "PostgreSQL")
        )

    def prune(self, below_offset: int, received_before_us: int) -> Pruned:
        """Delete what has been landed. See `StoredQueue.prune`."""
        check_landed(below_offset, self.committed(LANDING))
        return prune_tables(self.server, below_offset, received_before_us)

    def _status(self, connection: Connection) -> QueueStatus:
        made = are_made(connection, self.server.location)
        end = log_end(connection) if made else LogEnd()
        return QueueStatus(
            location=self.server.location,
            next_offset=end.next_offset,
            last_received_at=end.last_received_at,
            advanced_to=end.advanced_to,
            size_bytes=_size_bytes(connection) if made else 0,
            engine=_engine(connection),
            committed=_committed(connection) if made else {},
            first_kept_offset=end.first_kept_offset,
            warnings=tuple(durability_faults(connection)),
        )

    def _open_writer(self) -> PostgresWriter:
        with self._opening:
            if self._writer is None:
                self._writer = PostgresWriter(
                    self.server, wall_clock=self._wall_clock, steady_clock=self._steady_clock
                )
            return self._writer

    def _read(self, offset: int, *, max_batches: int, max_records: int) -> list[Batch]:
        def ask(connection: Connection) -> list[Batch]:
            return read_batches(
                connection, self.server.location, offset, max_batches=max_batches, max_records=max_records
            )

        return self._reader.ask(ask, [])


def _committed(connection: Connection) -> dict[str, int]:
    return dict(connection.execute("SELECT consumer_group, next_offset FROM queue_groups").fetchall())


def _size_bytes(connection: Connection) -> int:
    row = connection.execute("SELECT pg_total_relation_size('queue_batches'::regclass)").fetchone()
    return 0 if row is None else int(row[0])


def _engine(connection: Connection) -> str:
    version, patch = divmod(connection.info.server_version, 10_000)
    return f"PostgreSQL {version}.{patch}"
