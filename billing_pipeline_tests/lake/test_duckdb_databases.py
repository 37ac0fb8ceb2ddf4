"""A session takes over the database of the one before it, and finds nothing of that one."""

import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from billing_pipeline.errors import EngineOverflowError
from billing_pipeline.lake.duckdb_engine import DuckDBEngine, in_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

SETTINGS = (
    "SELECT name, value FROM duckdb_settings() WHERE name NOT IN ('secret_directory', 'extension_directory')"
)


class Starts:
    """Starts databases, and counts them and those that are still there."""

    def __init__(self) -> None:
        self.started = self.there = 0

    @contextmanager
    def __call__(self) -> "Iterator[DuckDBPyConnection]":
        self.started, self.there = self.started + 1, self.there + 1
        try:
            with in_memory() as connection:
                yield connection
        finally:
            self.there -= 1


@pytest.fixture
def starts() -> Starts:
    return Starts()


@pytest.fixture
def engine(starts: Starts, tmp_path: Path) -> DuckDBEngine:
    return DuckDBEngine(starts, 200, 2, tmp_path / "scratch")


def test_sessions_after_each_other_have_one_database_and_nothing_in_common(
    engine: DuckDBEngine, starts: Starts, tmp_path: Path
) -> None:
    statement = tmp_path / "one.sql"
    statement.write_text("SELECT 1 AS one", "utf-8")
    with engine.session() as first:
        before = first.rows(SETTINGS)
        first.keep("kept", statement)
        first.define("defined", statement)
        first._execute("SET preserve_insertion_order = false")
    with engine.session() as second:
        assert second.rows("SELECT table_name FROM information_schema.tables") == []
        assert second.rows(SETTINGS) == before
    assert starts.started == 1


def test_a_file_that_was_changed_between_sessions_is_read_anew(engine: DuckDBEngine, tmp_path: Path) -> None:
    path = tmp_path / "numbers.parquet"
    for number in (1, 2):
        with engine.session() as session:
            session._execute(f"COPY (SELECT {number} AS number) TO '{path}' (FORMAT parquet)")
        with engine.session() as session:
            assert session.rows(f"FROM '{path}'") == [(number,)]


def test_sessions_at_the_same_time_have_a_database_each(engine: DuckDBEngine, starts: Starts) -> None:
    """Also those of several threads; one database is kept afterwards."""
    both = threading.Barrier(2)

    def work() -> None:
        with engine.session() as session:
            both.wait(60)
            session.rows("SELECT 1")

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert starts.started == 2
    with engine.session():
        pass
    assert (starts.started, starts.there) == (2, 1)


def test_under_other_terms_a_database_is_started_and_the_kept_one_ends(
    engine: DuckDBEngine, starts: Starts
) -> None:
    with engine.session() as session:
        assert session.rows("SELECT current_setting('threads')") == [(2,)]
    with replace(engine, threads=1).session() as session:
        assert session.rows("SELECT current_setting('threads')") == [(1,)]
    assert (starts.started, starts.there) == (2, 1)


def test_a_session_that_failed_leaves_no_database(engine: DuckDBEngine, starts: Starts) -> None:
    with pytest.raises(EngineOverflowError), engine.session() as session:
        session.rows("SELECT 'x'::INTEGER")
    assert starts.there == 0


def test_a_session_that_spilled_leaves_no_file_and_no_database(
    engine: DuckDBEngine, starts: Starts, tmp_path: Path
) -> None:
    statement = tmp_path / "many.sql"
    statement.write_text("SELECT md5(range::VARCHAR) AS digest FROM range(2000000)", "utf-8")
    with replace(engine, memory_limit_mb=60).session() as session:
        session.keep("many", statement)
        assert any(engine.scratch.iterdir())
    assert (starts.there, list(engine.scratch.iterdir())) == (0, [])
