"""The queue's tables in PostgreSQL: a row per batch, the end of the log, the groups; and the rules that guard them.

The end of the log is one row. Whoever appends locks it, so offsets are given out one transaction after the other and
become visible in their order: a reader by offset never skips one that is still to be committed. That row is a cursor,
which moves; batches are facts, which stay.
"""

from psycopg import Connection
from psycopg.errors import InsufficientPrivilege

from billing_pipeline.errors import QueueError
from billing_pipeline.ingest.stored_queue import LANDING

TABLES_VERSION = 1
_LOCK_KEY = 0x71756575  # "queu": any number that every process of this project agrees on

_SCHEMA = f"""
CREATE TABLE queue_batches (
    first_offset bigint PRIMARY KEY,
    count integer NOT NULL CHECK (count > 0),
    producer text NOT NULL,
    received_at bigint,
    first_received_at bigint NOT NULL,
    last_received_at bigint NOT NULL,
    crc32 bigint NOT NULL,
    receipt_times_us bytea,
    body bytea NOT NULL
);
CREATE TABLE queue_end (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    tables_version integer NOT NULL,
    next_offset bigint NOT NULL,
    last_received_at bigint,
    advanced_to bigint,
    pruned_until bigint NOT NULL CHECK (pruned_until <= next_offset)
) WITH (fillfactor = 50);
CREATE TABLE queue_groups (consumer_group text PRIMARY KEY, next_offset bigint NOT NULL);

-- The server's own compression would halve what can be taken in; a fast one saves writes, and else none is faster.
DO $$
BEGIN
    EXECUTE 'ALTER TABLE queue_batches ALTER COLUMN body SET COMPRESSION lz4';
EXCEPTION WHEN feature_not_supported OR syntax_error THEN
    ALTER TABLE queue_batches ALTER COLUMN body SET STORAGE EXTERNAL;
END $$;

CREATE FUNCTION queue_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: a batch is a fact, and stays as it was received', TG_TABLE_NAME;
END $$;
CREATE FUNCTION queue_refuse_early_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.first_offset + OLD.count > (SELECT pruned_until FROM queue_end) THEN
        RAISE EXCEPTION 'the batch at offset % is not pruned: only `billing queue prune` deletes', OLD.first_offset;
    END IF;
    RETURN OLD;
END $$;
CREATE FUNCTION queue_refuse_going_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.next_offset < OLD.next_offset OR NEW.pruned_until < OLD.pruned_until
        OR coalesce(NEW.last_received_at, 0) < coalesce(OLD.last_received_at, 0)
        OR coalesce(NEW.advanced_to, 0) < coalesce(OLD.advanced_to, 0)
    THEN
        RAISE EXCEPTION 'the end of the log and its clock never go back';
    END IF;
    IF NEW.pruned_until > OLD.pruned_until AND NEW.pruned_until >
        coalesce((SELECT next_offset FROM queue_groups WHERE consumer_group = '{LANDING}'), 0)
    THEN
        RAISE EXCEPTION 'only what the group {LANDING} has committed can be pruned';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER queue_batches_refuse_change BEFORE UPDATE OR TRUNCATE ON queue_batches
    FOR EACH STATEMENT EXECUTE FUNCTION queue_refuse_change();
CREATE TRIGGER queue_batches_refuse_early_delete BEFORE DELETE ON queue_batches
    FOR EACH ROW EXECUTE FUNCTION queue_refuse_early_delete();
CREATE TRIGGER queue_end_refuses_going_back BEFORE UPDATE ON queue_end
    FOR EACH ROW EXECUTE FUNCTION queue_refuse_going_back();
CREATE TRIGGER queue_end_refuses_removal BEFORE DELETE OR TRUNCATE ON queue_end
    FOR EACH STATEMENT EXECUTE FUNCTION queue_refuse_change();
"""


def are_made(connection: Connection, location: str) -> bool:
    """Whether the queue's tables are there.

    Raises:
        QueueError: they are of another version.
    """
    # Asked of the catalog as a table: to_regclass() may answer from before a lock that was waited for.
    found = connection.execute(
        "SELECT 1 FROM pg_tables WHERE tablename = 'queue_end' AND schemaname = ANY (current_schemas(false))"
    ).fetchone()
    if found is None:
        return False
    row = connection.execute("SELECT tables_version FROM queue_end").fetchone()
    if row != (TABLES_VERSION,):
        raise QueueError(
            f"{location} holds a queue of version {row and row[0]}, this program knows {TABLES_VERSION}; "
            "use the program that made it"
        )
    return True


def make_tables(connection: Connection, location: str) -> None:
    """Make the tables where there are none; safe when several processes do so at once.

    Raises:
        QueueError: the tables are of another version, or the role may not make any.
    """
    if are_made(connection, location):
        return
    try:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK_KEY,))
            if not are_made(connection, location):
                connection.execute(_SCHEMA)
                connection.execute(
                    "INSERT INTO queue_end (tables_version, next_offset, pruned_until) VALUES (%s, 0, 0)",
                    (TABLES_VERSION,),
                )
    except InsufficientPrivilege as error:
        raise QueueError(
            f"the queue's tables cannot be made in {location}: {error.diag.message_primary}; give the role a schema "
            "in which it may create tables (GRANT USAGE, CREATE ON SCHEMA …)"
        ) from error
