"""Pruning of the queue's SQLite file, a stretch at a time, in the writer's turn like everything that writes it."""

import sqlite3
from pathlib import Path

from billing_pipeline.errors import QueueError
from billing_pipeline.ingest.queue_file import connect_writer
from billing_pipeline.ingest.stored_queue import Pruned
from billing_pipeline.ingest.writer_turn import WriterTurn

STRETCH_BATCHES = 1000
"""Deleted in one turn, so that a gateway is not kept from writing for long."""


def prune_file(path: Path, below_offset: int, received_before_us: int, turn_timeout_seconds: float) -> Pruned:
    """Delete batches. See `StoredQueue.prune`; that all of it has been landed is known by now.

    Raises:
        QueueLockedError: another writer did not give way in time; what was deleted before it stays so.
        QueueError: the file cannot be written.
    """
    batches = records = size_bytes = first_kept = 0
    turn = WriterTurn(path)
    while path.exists():
        turn.take(turn_timeout_seconds)
        try:
            connection = connect_writer(path)
            try:
                gone, first_kept = _prune_stretch(connection, below_offset, received_before_us)
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise QueueError(f"{path} cannot be pruned: {error}; see to the disk and run it again") from error
        finally:
            turn.give_way()
        batches += len(gone)
        records += sum(count for count, _ in gone)
        size_bytes += sum(length for _, length in gone)
        if len(gone) < STRETCH_BATCHES:
            break
    return Pruned(batches, records, size_bytes, first_kept)


def first_kept_offset(connection: sqlite3.Connection) -> int:
    """Below it the log is pruned; 0 where it never was."""
    made = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'prunings'").fetchone()
    if made is None:
        return 0
    row = connection.execute("SELECT max(first_kept_offset) FROM prunings").fetchone()
    return int(row[0] or 0)


def _prune_stretch(
    connection: sqlite3.Connection, below_offset: int, received_before_us: int
) -> tuple[list[tuple[int, int]], int]:
    """One transaction: records and bytes of each batch that it deleted, and the first offset kept."""
    connection.execute("BEGIN IMMEDIATE")
    # Receipt times never go back along the log, so what is found is its beginning, without a gap.
    found = connection.execute(
        "SELECT first_offset, count, length(body) FROM batches "
        "WHERE first_offset + count <= ? AND last_received_at < ? "
        "AND first_offset < (SELECT max(first_offset) FROM batches) ORDER BY first_offset LIMIT ?",
        (below_offset, received_before_us, STRETCH_BATCHES),
    ).fetchall()
    if found:
        first_kept = found[-1][0] + found[-1][1]
        connection.execute("CREATE TABLE IF NOT EXISTS prunings (first_kept_offset INTEGER PRIMARY KEY)")
        connection.execute("DELETE FROM prunings")
        connection.execute("INSERT INTO prunings VALUES (?)", (first_kept,))
        connection.execute("DELETE FROM batches WHERE first_offset < ?", (first_kept,))
    connection.execute("COMMIT")
    return [(count, length) for _, count, length in found], first_kept_offset(connection)
