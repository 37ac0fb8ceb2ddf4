"""Batches and the end of the log as rows of PostgreSQL: locked, stored and read."""

from collections.abc import Iterable, Sequence

from psycopg import Connection, OperationalError
from psycopg.errors import Diagnostic

from billing_pipeline.errors import QueueCorruptError, QueuePrunedError
from billing_pipeline.ingest.queue import Batch
from billing_pipeline.ingest.stored_batch import BatchRow, LogEnd

MAX_READ_BYTES = 64 * 1024 * 1024
"""Bodies returned by one read: the driver holds them twice. The rest comes with the next read."""

MAX_READ_BATCHES = 10_000

_COLUMNS = (
    "first_offset, count, producer, received_at, first_received_at, last_received_at, crc32, "
    "receipt_times_us, body"
)
_INSERT = (
    f"INSERT INTO queue_batches ({_COLUMNS}) SELECT * FROM unnest("
    "%s::bigint[], %s::int[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], "
    "%b::bytea[], %b::bytea[])"
)
_END = "SELECT next_offset, last_received_at, advanced_to, pruned_until FROM queue_end"
# An advisory lock of this queue's own: several may be in one database, each with a table of that name.
_TURN = "(1903519093::bigint << 32) | 'queue_end'::regclass::oid::bigint"
_NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


def log_end(connection: Connection) -> LogEnd:
    """The end of the log as it is now. The tables are there."""
    row = connection.execute(_END).fetchone()
    return LogEnd() if row is None else LogEnd(*row)


def server_time_us(connection: Connection) -> int:
    """The server's wall clock in UTC µs."""
    row = connection.execute(_NOW).fetchone()
    return 0 if row is None else int(row[0])


def take_turn(connection: Connection) -> None:
    """Keep everybody else from appending until this connection is closed. The tables are there."""
    connection.execute(f"SELECT pg_advisory_lock({_TURN})")


def lock_end(connection: Connection, *, has_turn: bool = False) -> tuple[LogEnd, int]:
    """Begin a transaction that alone may append; the end of the log and the server's wall clock (UTC µs).

    It waits for whoever has taken the turn to append, unless that was done for it.
    """
    with connection.pipeline():
        connection.execute("BEGIN")
        if not has_turn:
            connection.execute(f"SELECT pg_advisory_xact_lock_shared({_TURN})")
        end = connection.execute(f"{_END} FOR UPDATE")
        now = connection.execute(_NOW)
    row, time = end.fetchone(), now.fetchone()
    if row is None or time is None:
        raise OperationalError("the table queue_end has lost its row; restore the database")
    return LogEnd(*row), int(time[0])


def store(connection: Connection, rows: Sequence[BatchRow], end: LogEnd) -> None:
    """Store batches and the new end of the log, and commit the transaction of `lock_end`: it is on disk on return.

    Raises:
        psycopg.Error: it is not known to be. With the connection lost, the server may have committed.
    """
    warnings: list[str] = []

    def note(diagnostic: Diagnostic) -> None:
        if diagnostic.severity_nonlocalized == "WARNING":
            warnings.append(diagnostic.message_primary or "")

    connection.add_notice_handler(note)
    with connection.pipeline():
        if rows:
            batches = [row.batch for row in rows]
            connection.execute(
                _INSERT,
                (
                    [batch.first_offset for batch in batches],
                    [batch.count for batch in batches],
                    [batch.producer for batch in batches],
                    [batch.received_at for batch in batches],
                    [row.first_received_at for row in rows],
                    [row.last_received_at for row in rows],
                    [row.crc32 for row in rows],
                    [batch.receipt_times_us or None for batch in batches],
                    [batch.body for batch in batches],
                ),
            )
        connection.execute(
            "UPDATE queue_end SET next_offset = %s, last_received_at = %s, advanced_to = %s",
            (end.next_offset, end.last_received_at, end.advanced_to),
        )
        commit = connection.execute("COMMIT")
    connection.remove_notice_handler(note)
    if commit.statusmessage != "COMMIT" or warnings:
        # A rollback that looks like success, or a commit that a standby has not confirmed.
        raise OperationalError("; ".join(warnings) or f"COMMIT was answered by {commit.statusmessage}")


def read_batches(
    connection: Connection, location: str, offset: int, *, max_batches: int, max_records: int
) -> list[Batch]:
    """Whole batches from the one that holds `offset` on, each checked; see `Queue.read_from` for the bounds.

    Raises:
        QueuePrunedError: what stands at the offset was landed and deleted.
        QueueCorruptError: the first batch does not match its checksum, or is missing.
    """
    with connection.transaction():
        # One view of the log for all that follows, whatever is appended or pruned meanwhile.
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        end = log_end(connection)
        if offset < end.first_kept_offset:
            raise QueuePrunedError(offset, end.first_kept_offset)
        if offset >= end.next_offset:
            return []
        sizes = connection.execute(
            "SELECT first_offset, count, octet_length(body) FROM queue_batches WHERE first_offset >= "
            "(SELECT coalesce(max(first_offset), 0) FROM queue_batches WHERE first_offset <= %s) "
            "ORDER BY first_offset LIMIT %s",
            (offset, min(max_batches, MAX_READ_BATCHES)),
        ).fetchall()
        first, last = _bounds(sizes, offset, max_records)
        with connection.cursor(binary=True) as cursor:
            cursor.execute(
                f"SELECT {_COLUMNS} FROM queue_batches WHERE first_offset BETWEEN %s AND %s ORDER BY first_offset",
                (first, last),
            )
            return _checked(cursor, location, offset)


def _bounds(sizes: Sequence[tuple[int, int, int]], offset: int, max_records: int) -> tuple[int, int]:
    """The first offsets of the first and the last batch of one read: one batch, then as many as the bounds allow."""
    first = last = offset
    records = size_bytes = 0
    for first_offset, count, length in sizes:
        records += count
        size_bytes += length
        if first_offset == sizes[0][0]:
            first = first_offset
        elif records > max_records or size_bytes > MAX_READ_BYTES:
            break
        last = first_offset
        if records >= max_records:
            break
    return first, last


def _checked(rows: Iterable[tuple[object, ...]], location: str, offset: int) -> list[Batch]:
    batches: list[Batch] = []
    expected = offset
    for values in rows:
        row, crc32 = _row(values)
        batch = row.batch
        # Only the first one may begin before where it is asked for.
        in_place = batch.first_offset == expected or (
            not batches and batch.first_offset < expected < batch.next_offset
        )
        if not in_place or row.crc32 != crc32:
            break
        expected = batch.next_offset
        batches.append(batch)
    if not batches:
        # What stands before the damage can still be landed; the next read begins at it and fails.
        raise QueueCorruptError(location, offset)
    return batches


def _row(values: tuple[object, ...]) -> tuple[BatchRow, int]:
    # The types are those of the table.
    first_offset, count, producer, received_at, first, last, crc32, times, body = values
    batch = Batch(first_offset, count, producer, received_at, body, times or b"")  # type: ignore[arg-type]
    return BatchRow(batch, first, last), crc32  # type: ignore[arg-type, return-value]
