"""Dagster's storages for tests, each with one database engine: theirs make one for nearly every statement.

With its engine SQLAlchemy forgets how a statement is compiled, which takes longer than to execute it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from dagster._core.storage.event_log.in_memory import InMemoryEventLogStorage
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


class Events(InMemoryEventLogStorage):
    """The events of one instance, by the connection that keeps them."""

    @contextmanager
    def _connect(self) -> Iterator["Connection"]:
        with self._db_lock, self._held_conn.begin():
            yield self._held_conn


class Runs(SqliteRunStorage):
    """The runs of a home, in their file as ever."""

    @cached_property
    def _engine(self) -> "Engine":
        return create_engine(self._conn_string, poolclass=NullPool)

    @contextmanager
    def connect(self) -> Iterator["Connection"]:
        with self._engine.begin() as connection:
            yield connection
