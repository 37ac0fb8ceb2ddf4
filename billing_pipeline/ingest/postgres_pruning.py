"""Pruning of the queue in PostgreSQL: the log first says from where on it is kept, then rows go by stretches."""

import psycopg
from psycopg import Connection

from billing_pipeline.errors import QueueError
from billing_pipeline.ingest.postgres_rows import log_end
from billing_pipeline.ingest.postgres_server import PostgresServer, first_line
from billing_pipeline.ingest.postgres_tables import are_made
from billing_pipeline.ingest.stored_queue import Pruned

STRETCH_BATCHES = 1000
"""Deleted in one transaction; none of them keeps anybody from appending."""


def prune_tables(server: PostgresServer, below_offset: int, received_before_us: int) -> Pruned:
    """Delete batches. See `StoredQueue.prune`; that all of it has been landed is known by now.

    Raises:
        QueueError: the server cannot be reached, or refuses; what was deleted before stays so.
    """
    connection = server.connect()
    try:
        if not are_made(connection, server.location):
            return Pruned(0, 0, 0, 0)
        return _prune(connection, below_offset, received_before_us)
    except psycopg.Error as error:
        raise QueueError(
            f"{server.location} cannot be pruned: {first_line(error)}; see to it and run it again"
        ) from error
    finally:
        connection.close()


def _prune(connection: Connection, below_offset: int, received_before_us: int) -> Pruned:
    # Receipt times never go back along the log, so what is found is its beginning, without a gap.
    connection.execute(
        "UPDATE queue_end SET pruned_until = greatest(pruned_until, ("
        "SELECT coalesce(max(first_offset + count), 0) FROM queue_batches "
        "WHERE first_offset + count <= %s AND last_received_at < %s "
        "AND first_offset < (SELECT max(first_offset) FROM queue_batches)))",
        (below_offset, received_before_us),
    )
    batches = records = size_bytes = 0
    while gone := connection.execute(
        "DELETE FROM queue_batches WHERE first_offset IN (SELECT first_offset FROM queue_batches "
        "WHERE first_offset < (SELECT pruned_until FROM queue_end) ORDER BY first_offset LIMIT %s) "
        "RETURNING count, octet_length(body)",
        (STRETCH_BATCHES,),
    ).fetchall():
        batches += len(gone)
        records += sum(count for count, _ in gone)
        size_bytes += sum(length for _, length in gone)
    return Pruned(batches, records, size_bytes, log_end(connection).first_kept_offset)
