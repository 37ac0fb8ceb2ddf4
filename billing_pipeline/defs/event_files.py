"""Dagster's event databases, held open while a run goes on: each event then waits for the disk once, not four times.

Dagster opens and closes a connection for each event. The last connection to close an SQLite database in WAL mode
copies the whole log into it, waits for the disk each time, and removes the log; with another one open it does not.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagster import DagsterInstance

INDEX = "index"


@contextmanager
def events_held_open(instance: "DagsterInstance", run_id: str) -> Iterator[None]:
    """Hold the event databases of an instance and of a run open; nothing where they are no SQLite files."""
    path_of: Callable[[str], str] | None = getattr(instance.event_log_storage, "path_for_shard", None)
    with ExitStack() as held:
        if path_of is not None:
            for shard in (INDEX, run_id):
                path = Path(path_of(shard))
                if path.parent.is_dir():
                    held.enter_context(closing(_held_open(path)))
        yield


def _held_open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    # Also what Dagster sets; a connection takes part in the log once it has read something.
    connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return connection
