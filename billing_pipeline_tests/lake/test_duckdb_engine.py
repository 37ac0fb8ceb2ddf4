"""What is DuckDB's own: its types, the same bytes from any number of threads, no extension from the network."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

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
