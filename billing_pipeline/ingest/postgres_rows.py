"""Batches and the end of the log as rows of PostgreSQL: locked and stored."""

from collections.abc import Sequence

from psycopg import Connection, OperationalError
from psycopg.errors import Diagnostic

from billing_pipeline.ingest.stored_batch import BatchRow, LogEnd

COLUMNS = (
    "first_offset, count, producer, received_at, first_received_at, last_received_at, crc32, "
    "receipt_times_us, body"
)
_INSERT = (
    f"INSERT INTO queue_batches ({COLUMNS}) SELECT * FROM unnest("
    "%s::bigint[], %s::int[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], "
    "%b::bytea[], %b::bytea[])"
)
_END = "SELECT next_offset, last_received_at, advanced_to, pruned_until FROM queue_end"
# An advisory lock of this queue's own: several may be in one database, each with a table of that name.
_TURN = "(1903519093::bigint << 32) | 'queue_end'::regclass::oid::bigint"
_NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


class UnconfirmedError(OperationalError):
    """A commit was answered by something else than a plain success. Caught by the writer, which fails its requests."""


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
        UnconfirmedError: the server has committed or not, and does not vouch for it.
        psycopg.Error: it is not known to be stored. With the connection lost, the server may have committed.
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
        raise UnconfirmedError("; ".join(warnings) or f"COMMIT was answered by {commit.statusmessage}")
