"""The compute engine: typed empty relations, one file per partition, the same bytes from any order and threads."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from billing_pipeline.lake.content_hash import file_hash
from billing_pipeline.lake.duckdb_engine import DuckDBEngine, in_memory
from billing_pipeline.schemas.table import Column, ColumnType, Table

THINGS = Table(
    name="things",
    stage="test",
    description="Every type once.",
    columns=(
        Column("day", ColumnType.DAY, "d"),
        Column("name", ColumnType.TEXT, "n", nullable=True),
        Column("number", ColumnType.WHOLE, "n"),
        Column("quantity", ColumnType.QUANTITY, "q"),
        Column("amount", ColumnType.AMOUNT, "a"),
        Column("at", ColumnType.INSTANT, "a"),
        Column("flag", ColumnType.FLAG, "f", nullable=True),
        Column("payload", ColumnType.BYTES, "p"),
    ),
    partition_by=("day",),
    order_by=("name", "number"),
)
DAY = date(2026, 10, 5)
MOMENT = datetime(2026, 10, 5, 23, 59, 59, 999_999, tzinfo=UTC)


def thing(number: int, name: str | None = None) -> tuple[object, ...]:
    return (DAY, name, number, Decimal("1.000000001"), Decimal("1E-24"), MOMENT, None, b"\x00\xff")


@pytest.fixture
def engine(tmp_path: Path) -> Callable[..., DuckDBEngine]:
    def make(threads: int = 2) -> DuckDBEngine:
        return DuckDBEngine(in_memory, 500, threads, tmp_path / "scratch")

    return make


def test_a_scan_of_no_files_is_an_empty_relation_of_the_tables_types(
    engine: Callable[..., DuckDBEngine],
) -> None:
    with engine().session() as session:
        session.scan("empty", THINGS, [])
        assert session.rows("SELECT * FROM empty") == []
        types = [(str(row[0]), str(row[1])) for row in session.rows("DESCRIBE empty")]
    assert types == [
        (c.name, {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}.get(c.type, str(c.type))) for c in THINGS.columns
    ]


def test_an_empty_relation_is_written_as_no_file_at_all(
    engine: Callable[..., DuckDBEngine], tmp_path: Path
) -> None:
    path = tmp_path / "data" / "none.parquet"
    path.parent.mkdir()
    with engine().session() as session:
        session.load("some", THINGS.columns, [thing(1)])
        assert session.write(THINGS, "some", path, "number = 2") is None
    assert list(path.parent.iterdir()) == []


def test_what_is_written_is_read_back_exactly(engine: Callable[..., DuckDBEngine], tmp_path: Path) -> None:
    path = tmp_path / "things.parquet"
    with engine().session() as session:
        session.load("some", THINGS.columns, [thing(2, "b|\\"), thing(1)])
        written = session.write(THINGS, "some", path)
        session.scan("back", THINGS, [str(path)])
        assert session.rows("SELECT * FROM back") == [thing(1), thing(2, "b|\\")]
    assert written is not None
    assert (written.path, written.rows) == (path, 2)


def test_a_file_holds_decimals_at_their_declared_precision_and_no_float(
    engine: Callable[..., DuckDBEngine], tmp_path: Path
) -> None:
    path = tmp_path / "things.parquet"
    with engine().session() as session:
        session.load("some", THINGS.columns, [thing(1)])
        session.write(THINGS, "some", path)
    types = {field.name: str(field.type) for field in pq.read_schema(path)}
    assert types["quantity"] == "decimal128(38, 9)"
    assert types["amount"] == "decimal128(38, 24)"
    assert types["at"] == "timestamp[us, tz=UTC]"


def test_the_same_rows_give_the_same_bytes_from_any_order_and_number_of_threads(
    engine: Callable[..., DuckDBEngine], tmp_path: Path
) -> None:
    hashes = set()
    for threads, order in ((1, "range"), (2, "range"), (2, "hash(range)")):
        statement = tmp_path / "things.sql"
        statement.write_text(
            "SELECT DATE '2026-10-05' AS day, CASE WHEN range % 5 > 0 THEN 'n' || range % 7 END AS name, "
            "range AS number, range / 8 AS quantity, 0.5 AS amount, make_timestamptz(range) AS at, true AS flag, "
            f"encode('p' || range) AS payload FROM range(150_000) ORDER BY {order}",
            "utf-8",
        )
        path = tmp_path / "things.parquet"
        with engine(threads).session() as session:
            session.keep("some", statement)
            session.write(THINGS, "some", path)
        hashes.add(file_hash([path]))
    assert len(hashes) == 1


def test_sessions_run_in_utc_and_never_fetch_extensions(engine: Callable[..., DuckDBEngine]) -> None:
    with engine().session() as session:
        (row,) = session.rows(
            "SELECT current_setting('TimeZone'), current_setting('autoinstall_known_extensions'), "
            "CAST(TIMESTAMPTZ '2026-10-05 23:59:59.999999+00' AS DATE)"
        )
    assert row == ("UTC", False, DAY)


def test_relations_of_one_session_are_unknown_to_the_next(engine: Callable[..., DuckDBEngine]) -> None:
    made = engine()
    with made.session() as session:
        session.load("some", THINGS.columns, [thing(1)])
    with made.session() as session:
        assert session.rows("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'some'") == [(0,)]


def test_many_rows_come_in_chunks_and_none_is_lost(engine: Callable[..., DuckDBEngine]) -> None:
    with engine().session() as session:
        chunks = [len(chunk) for chunk in session.chunks("SELECT * FROM range(120_001)")]
    assert len(chunks) > 1
    assert sum(chunks) == 120_001


def test_a_loaded_relation_may_be_empty_and_keeps_its_types(engine: Callable[..., DuckDBEngine]) -> None:
    with engine().session() as session:
        session.load("none", THINGS.columns, [])
        assert session.rows("SELECT count(*), sum(quantity) FROM none") == [(0, None)]


def test_a_name_may_be_given_again_to_another_kind_of_relation(
    engine: Callable[..., DuckDBEngine], tmp_path: Path
) -> None:
    """What is computed when read, what is kept, what is loaded and what is scanned share one space of names."""
    statement = tmp_path / "one.sql"
    statement.write_text("SELECT 1 AS number", "utf-8")
    with engine().session() as session:
        session.define("named", statement)
        session.keep("named", statement)
        session.define("named", statement)
        assert session.rows("SELECT * FROM named") == [(1,)]
        session.load("named", THINGS.columns, [thing(7)])
        session.scan("named", THINGS, [])
        assert session.rows("SELECT * FROM named") == []


def test_the_bytes_do_not_depend_on_how_many_files_the_rows_came_from(
    engine: Callable[..., DuckDBEngine], tmp_path: Path
) -> None:
    """An engine that knows a single file to hold no nulls would declare its columns otherwise than for two."""
    whole, first, second = (tmp_path / f"{name}.parquet" for name in ("whole", "first", "second"))
    with engine().session() as session:
        session.load("rows", THINGS.columns, [thing(number, "name") for number in range(20)])
        for path, where in ((whole, "true"), (first, "number < 7"), (second, "number >= 7")):
            session.write(THINGS, "rows", path, where)
        hashes = set()
        for sources in ([whole], [first, second]):
            session.scan("sources", THINGS, [str(path) for path in sources])
            session.write(THINGS, "sources", tmp_path / "out.parquet")
            hashes.add(file_hash([tmp_path / "out.parquet"]))
    assert len(hashes) == 1
