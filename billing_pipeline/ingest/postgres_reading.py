"""Reads batches from PostgreSQL, each checked, in bounded portions."""

from collections.abc import Iterable, Sequence

from psycopg import Connection

from billing_pipeline.errors import QueueCorruptError, QueuePrunedError
from billing_pipeline.ingest.postgres_rows import COLUMNS, log_end
from billing_pipeline.ingest.queue import Batch
from billing_pipeline.ingest.stored_batch import BatchRow

MAX_READ_BYTES = 64 * 1024 * 1024
"""Bodies returned by one read: the driver holds them twice. The rest comes with the next read."""

MAX_READ_BATCHES = 10_000


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
                f"SELECT {COLUMNS} FROM queue_batches WHERE first_offset BETWEEN %s AND %s ORDER BY first_offset",
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
