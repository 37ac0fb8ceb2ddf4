"""Dagster's event databases are held open for a run, so that its events do not each wait for a whole checkpoint."""

import sqlite3
from contextlib import closing
from pathlib import Path

import dagster as dg

from billing_pipeline.defs.event_files import events_held_open

RUN_ID = "5b1f0c3e-0000-4000-8000-000000000000"


def write(path: Path) -> None:
    """Write as Dagster does: by a connection of its own, closed at once."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS written (number INTEGER)")


def test_no_log_is_folded_up_before_the_end(tmp_path: Path) -> None:
    """Both databases, of which that of the run is not there before; at the end all is in them and no log is left."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        folder = tmp_path / "history" / "runs"
        logs = [folder / "index.db-wal", folder / f"{RUN_ID}.db-wal"]
        with events_held_open(instance, RUN_ID):
            for log in logs:
                write(log.with_suffix(".db"))
                assert log.is_file()
        assert not any(log.exists() for log in logs)
        for log in logs:
            with closing(sqlite3.connect(log.with_suffix(".db"))) as connection:
                assert connection.execute("SELECT count(*) FROM written").fetchone() == (0,)


def test_where_events_are_in_no_files_nothing_is_held() -> None:
    """An instance in memory, or on a database server, has none."""
    with dg.DagsterInstance.ephemeral() as instance, events_held_open(instance, RUN_ID):
        assert instance.get_runs() == []
