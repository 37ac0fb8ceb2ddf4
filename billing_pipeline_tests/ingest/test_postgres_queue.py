"""The durable queue in PostgreSQL: what it refuses, what it finds damaged, and what it keeps to itself."""

import threading

import psycopg
import pytest

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.log_lines import Body
from billing_pipeline.errors import ClockError, QueueCorruptError, QueueError, SettingsError
from billing_pipeline.ingest import postgres_reading, postgres_rows
from billing_pipeline.ingest.postgres_queue import PostgresQueue
from billing_pipeline.ingest.postgres_server import PostgresServer
from billing_pipeline.ingest.stored_queue import LANDING
from billing_pipeline_tests.ingest.queue_stores import POSTGRES_URL, SchemaStore

PATIENCE_SECONDS = 30


def record(name: str) -> LogRecord:
    return LogRecord(kind="usage", payload="{}", source="product", id=name, quantity="1.25")


def connect(schema: SchemaStore) -> psycopg.Connection:
    return psycopg.connect(schema.url, autocommit=True)


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("UPDATE queue_batches SET producer = 'somebody else'", "queue_batches is append-only"),
        ("DELETE FROM queue_batches", "is not pruned"),
        ("TRUNCATE queue_batches", "queue_batches is append-only"),
        ("UPDATE queue_end SET next_offset = 1", "never go back"),
        ("UPDATE queue_end SET last_received_at = 1", "never go back"),
        ("UPDATE queue_end SET advanced_to = 1", "never go back"),
        ("UPDATE queue_end SET pruned_until = 2", "only what the group landing has committed can be pruned"),
        ("DELETE FROM queue_end", "queue_end is append-only"),
        ("INSERT INTO queue_end VALUES (true, 1, 0, 0, 0, 0)", "duplicate key"),
    ],
)
def test_the_database_itself_refuses_to_change_the_log(
    schema: SchemaStore, statement: str, refusal: str
) -> None:
    queue = schema.open()
    for name in "ab":
        queue.append("product", [record(name)])
    queue.advance(queue.clock())
    queue.commit(LANDING, 1)
    with connect(schema) as connection, pytest.raises(psycopg.Error, match=refusal):
        connection.execute(statement)
    assert len(queue.read_from(0, 10)) == 2


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE queue_batches SET body = replace(body::text, '31', '32')::bytea WHERE first_offset = 1",
        "UPDATE queue_batches SET received_at = received_at - 1 WHERE first_offset = 1",
        "UPDATE queue_batches SET last_received_at = last_received_at + 1 WHERE first_offset = 1",
        "UPDATE queue_batches SET count = count + 1 WHERE first_offset = 1",
        "UPDATE queue_batches SET producer = 'somebody else' WHERE first_offset = 1",
        "DELETE FROM queue_batches WHERE first_offset = 1",
        "DELETE FROM queue_batches WHERE first_offset >= 1",
    ],
)
def test_a_damaged_or_missing_batch_is_found_and_those_before_it_can_be_read(
    schema: SchemaStore, damage: str
) -> None:
    queue = schema.open()
    for name in "abc":
        queue.append("product", [record(name)])
    with connect(schema) as connection:
        connection.execute("ALTER TABLE queue_batches DISABLE TRIGGER USER")
        assert connection.execute(damage).rowcount > 0
    assert [batch.first_offset for batch in queue.read_from(0, 10)] == [0]
    with pytest.raises(QueueCorruptError) as error:
        queue.read_from(1, 10)
    assert error.value.first_offset == 1


def test_tables_of_another_version_are_refused(schema: SchemaStore) -> None:
    schema.open().append("product", [record("a")])
    with connect(schema) as connection:
        connection.execute("UPDATE queue_end SET tables_version = 7")
    with pytest.raises(QueueError, match="a queue of version 7, this program knows 1"):
        schema.open().append("product", [record("b")])
    with pytest.raises(QueueError, match="version 7"):
        schema.open().read_from(0, 10)


def test_many_processes_that_come_first_make_the_tables_once(schema: SchemaStore) -> None:
    start = threading.Barrier(8)
    offsets: list[int] = []

    def come_first(queue: PostgresQueue) -> None:
        start.wait(PATIENCE_SECONDS)
        offsets.append(queue.append("product", [record("a")]).start)

    threads = [threading.Thread(target=come_first, args=(schema.open(),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(offsets) == list(range(8))


def test_receipt_times_are_those_of_the_servers_clock(schema: SchemaStore) -> None:
    """So that every process on every machine stamps by the same one."""
    queue = schema.open()
    with connect(schema) as connection:
        before = postgres_rows.server_time_us(connection)
        queue.append("product", [record("a")])
        after = postgres_rows.server_time_us(connection)
    assert before <= queue.clock() <= after


def test_a_machine_whose_clock_is_a_little_ahead_moves_the_queues_clock_to_the_servers_now(
    schema: SchemaStore,
) -> None:
    """And never past it; one that is far ahead is refused."""
    queue = schema.open()
    with connect(schema) as connection:
        before = postgres_rows.server_time_us(connection)
        queue.advance(before + 30_000_000)
        assert before <= queue.clock() <= postgres_rows.server_time_us(connection)
        with pytest.raises(ClockError, match="after the wall clock"):
            queue.advance(postgres_rows.server_time_us(connection) + 120_000_000)


def test_commits_are_on_disk_whatever_the_database_says(schema: SchemaStore) -> None:
    """A database set to acknowledge at once is overruled for the session."""
    asked = schema.url.replace("options=", "options=-csynchronous_commit%3Doff%20")
    with PostgresServer.of_url(asked).connect() as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
    stronger = schema.url.replace("options=", "options=-csynchronous_commit%3Dremote_apply%20")
    with PostgresServer.of_url(stronger).connect() as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("remote_apply",)


def test_two_appenders_take_turns_whatever_isolation_the_database_defaults_to(schema: SchemaStore) -> None:
    strict = schema.url.replace("options=", "options=-cdefault_transaction_isolation%3Dserializable%20")
    with PostgresQueue(strict) as one, PostgresQueue(strict) as other:
        futures = [queue.submit("product", Body(1, b"{}\n")) for _ in range(50) for queue in (one, other)]
        offsets = [offset for future in futures for offset in future.result(PATIENCE_SECONDS)]
    assert sorted(offsets) == list(range(100))


def test_a_commit_that_is_answered_by_a_rollback_or_a_warning_acknowledges_nothing(
    schema: SchemaStore,
) -> None:
    """As by a server whose standby did not confirm, or by one that took the transaction back."""
    queue = schema.open()
    queue.append("product", [record("a")])
    with connect(schema) as connection:
        connection.execute(
            "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE WARNING 'not replicated'; RETURN NULL; END $$"
        )
        connection.execute("CREATE TRIGGER warn AFTER INSERT ON queue_batches EXECUTE FUNCTION warn()")
        with pytest.raises(QueueError, match=r"not replicated\); whether this batch is stored is unknown"):
            queue.append("product", [record("b")])
        connection.execute("DROP TRIGGER warn ON queue_batches")
    assert queue.append("product", [record("b")]).start in {1, 2}


def test_an_error_of_the_server_fails_its_transaction_and_not_the_next(schema: SchemaStore) -> None:
    queue = schema.open()
    queue.append("product", [record("a")])
    with connect(schema) as connection:
        connection.execute("ALTER TABLE queue_batches ADD CONSTRAINT short CHECK (producer <> 'bad')")
        with pytest.raises(
            QueueError, match="nothing of this batch is stored; see to the server and append again"
        ):
            queue.append("bad", [record("b")])
    assert queue.append("good", [record("c")]) == range(1, 2)


def test_a_transaction_that_is_held_open_makes_appends_fail_in_time(
    schema: SchemaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing_pipeline.ingest.postgres_server.LOCK_TIMEOUT_SECONDS", 1)
    queue = schema.open()
    queue.append("product", [record("a")])
    with connect(schema) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT 1 FROM queue_end FOR UPDATE")
        other = schema.open()
        with pytest.raises(QueueError, match="lock timeout"):
            other.append("product", [record("b")])
        assert other.next_offset() == 1
        connection.execute("ROLLBACK")
        assert other.append("product", [record("b")]) == range(1, 2)


def test_an_import_that_finds_another_one_under_way_says_so_in_time(
    schema: SchemaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing_pipeline.ingest.postgres_server.LOCK_TIMEOUT_SECONDS", 1)
    one, other = schema.open(), schema.open()
    with one.keep_turn():
        one.append("import", [record("a")], [5])
        with pytest.raises(QueueError, match="another import keeps the queue"), other.keep_turn():
            pass
        with pytest.raises(QueueError, match="lock timeout"):
            other.append("product", [record("b")])
    with other.keep_turn():
        other.append("import", [record("b")], [6])
    assert one.next_offset() == 2


def test_a_large_read_is_cut_by_bytes_and_the_next_one_goes_on(
    schema: SchemaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = schema.open()
    for name in "abcd":
        queue.append("product", [record(name)])
    monkeypatch.setattr(postgres_reading, "MAX_READ_BYTES", 2 * len(queue.read_from(0, 1)[0].body))
    assert [batch.first_offset for batch in queue.read_from(0, 10)] == [0, 1]
    monkeypatch.setattr(postgres_reading, "MAX_READ_BYTES", 1)
    assert [batch.first_offset for batch in queue.read_from(2, 10)] == [2]
    monkeypatch.setattr(postgres_reading, "MAX_READ_BATCHES", 1)
    assert [batch.first_offset for batch in queue.read("lander", 10)] == [0]


def test_the_location_and_errors_do_not_show_the_password() -> None:
    with PostgresQueue("postgresql://billing:s3cret@127.0.0.1:1/usage?connect_timeout=2") as queue:
        assert queue.server.location == "postgresql://billing@127.0.0.1:1/usage"
        assert "s3cret" not in repr(queue.server)
        with pytest.raises(QueueError, match=r"billing@127\.0\.0\.1:1/usage cannot be reached") as error:
            queue.status()
        assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    "url", ["postgresql://u:s3cret@[::1/db", "mysql://u:s3cret@h/db", "s3cret", "postgresql://h/d?s3cret=1"]
)
def test_a_url_that_cannot_be_read_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(SettingsError, match="BILLING_QUEUE_URL cannot be read") as error:
        PostgresQueue(url)
    assert "s3cret" not in str(error.value)


def test_a_url_in_the_form_of_sqlalchemy_is_understood() -> None:
    server = PostgresServer.of_url(POSTGRES_URL.replace("postgresql://", "postgresql+psycopg://"))
    assert server.location == POSTGRES_URL
