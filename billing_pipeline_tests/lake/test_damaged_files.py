"""What the engine says of a data file that was damaged: that the file cannot be read, or nothing, never a riddle."""

from contextlib import suppress
from pathlib import Path

import duckdb
import pytest

from billing_pipeline.errors import EngineFileError
from billing_pipeline.lake.duckdb_engine import DuckDBEngine, in_memory
from billing_pipeline.schemas.table import Column, ColumnType, Table

TABLE = Table(
    name="numbers",
    stage="test",
    description="Numbers and their texts.",
    columns=(Column("day", ColumnType.DAY, "d"), Column("text", ColumnType.TEXT, "t")),
    partition_by=("day",),
    order_by=("text",),
)


@pytest.fixture
def engine(tmp_path: Path) -> DuckDBEngine:
    return DuckDBEngine(in_memory, memory_limit_mb=500, threads=1, scratch=tmp_path / "scratch")


@pytest.fixture
def file(engine: DuckDBEngine, tmp_path: Path) -> Path:
    path = tmp_path / "numbers.parquet"
    statement = tmp_path / "numbers.sql"
    statement.write_text("SELECT DATE '2026-10-05' AS day, CAST(range AS VARCHAR) AS text FROM range(5000)")
    with engine.session() as session:
        session.define("numbers", statement)
        session.write(TABLE, "numbers", path)
    return path


def read(engine: DuckDBEngine, file: Path) -> None:
    with engine.session() as session:
        session.scan("numbers", TABLE, [str(file)])
        session.rows("SELECT count(DISTINCT text), max(day) FROM numbers")


def test_a_missing_a_cut_and_an_empty_file_cannot_be_read(engine: DuckDBEngine, file: Path) -> None:
    content = file.read_bytes()
    for damaged in (content[:-20], content[: len(content) // 2], b""):
        file.write_bytes(damaged)
        with pytest.raises(EngineFileError, match=r"a file cannot be read .* restore it"):
            read(engine, file)
    file.unlink()
    with pytest.raises(EngineFileError):
        read(engine, file)


def test_a_changed_byte_is_a_fault_of_the_file_or_changes_a_value(engine: DuckDBEngine, file: Path) -> None:
    """Only hashes find the latter."""
    content = file.read_bytes()
    refused = 0
    for place in range(0, len(content), max(1, len(content) // 120)):
        changed = bytearray(content)
        changed[place] ^= 4
        file.write_bytes(changed)
        # A changed name or type of a column is told by the engine as such.
        with suppress(duckdb.BinderException):
            try:
                read(engine, file)
            except EngineFileError:
                refused += 1
    assert refused > 10
