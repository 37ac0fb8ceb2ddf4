"""Places where a queue is kept, for tests that hold for each of them."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest

from billing_pipeline.ingest.postgres_queue import PostgresQueue
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
from billing_pipeline.ingest.stored_queue import StoredQueue

POSTGRES_URL = "postgresql://postgres@127.0.0.1:5432/test"
ENGINES = ("sqlite", "postgresql")


class QueueStore(Protocol):
    """A place of its own for one queue, which may be opened several times."""

    def open(self, **options: Any) -> StoredQueue:
        """The queue, with options that every one takes: wall_clock, steady_clock, buffer_timeout_seconds."""


class FileStore:
    """A SQLite file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self, **options: Any) -> SqliteQueue:
        return SqliteQueue(self.path, **options)


class SchemaStore:
    """A schema of PostgreSQL; whatever is still open is closed with it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._opened: list[PostgresQueue] = []

    def open(self, **options: Any) -> PostgresQueue:
        self._opened.append(PostgresQueue(self.url, **options))
        return self._opened[-1]

    def close(self) -> None:
        for queue in self._opened:
            queue.close()


@contextmanager
def fresh_schema() -> Iterator[SchemaStore]:
    """A schema that is dropped again; the test is skipped where there is no PostgreSQL."""
    schema = f"queue_{uuid.uuid4().hex}"
    try:
        admin = psycopg.connect(POSTGRES_URL, autocommit=True, connect_timeout=2)
    except psycopg.OperationalError as error:
        pytest.skip(f"no PostgreSQL at 127.0.0.1:5432: {error}")
    with admin:
        admin.execute(f"CREATE SCHEMA {schema}")
        store = SchemaStore(f"{POSTGRES_URL}?options=-csearch_path%3D{schema}")
        try:
            yield store
        finally:
            store.close()
            admin.execute(f"DROP SCHEMA {schema} CASCADE")


@contextmanager
def fresh_store(engine: str, folder: Path) -> Iterator[QueueStore]:
    """An untouched place for a queue; a file lies in the folder `queue` of the one given."""
    if engine == "sqlite":
        yield FileStore(folder / "queue" / "queue.sqlite")
        return
    with fresh_schema() as store:
        yield store
