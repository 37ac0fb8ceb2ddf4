"""Opening the control database: SQLite by default, PostgreSQL when outgrown; the same code for both."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import ConnectionPoolEntry

from billing_pipeline.errors import ControlDatabaseError

HEAD_REVISION = "0005"
"""The newest migration; known here so that opening a database at head does not import Alembic."""

_BUSY_TIMEOUT_SECONDS = 60
_ADVISORY_LOCK_KEY = 0x62696C6C  # "bill": any number that every process of this project agrees on


def open_control(url: str) -> Engine:
    """The control database at `url`, created and migrated to head when it is not there yet.

    Safe when several processes open a fresh database at once: one migrates, the others wait for it.

    Args:
        url: SQLAlchemy URL, `sqlite:///FILE` or `postgresql+psycopg://…`.

    Raises:
        ControlDatabaseError: the database was migrated by a newer release than this one.
    """
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        if engine.url.database:
            Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    if _revision(engine) != HEAD_REVISION:
        with _migration_lock(engine):
            if _revision(engine) != HEAD_REVISION:
                _migrate(engine)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes. On SQLite it takes the write lock first, so it never fails midway."""
    with engine.execution_options(billing_writes=True).begin() as connection:
        yield connection


def _set_up_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    # Autocommit in the driver: transactions are begun by `_begin_sqlite`, not by the driver's guess.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {_BUSY_TIMEOUT_SECONDS * 1000}",
        # A journal that is deleted may be there again after a loss of power, and would take the commit back.
        "journal_mode = TRUNCATE",
        "synchronous = FULL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("billing_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _revision(engine: Engine) -> str | None:
    try:
        with engine.connect() as connection:
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except DatabaseError as error:
        if "alembic_version" in str(error.orig):
            return None  # no such table: a fresh database
        raise


@contextmanager
def _migration_lock(engine: Engine) -> Iterator[None]:
    if engine.dialect.name == "sqlite":
        with FileLock(f"{engine.url.database}.migrate.lock"):
            yield
        return
    with engine.connect() as connection, connection.begin():
        # Ends with the transaction, so also when this process dies.
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK_KEY})
        yield


def _migrate(engine: Engine) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with writing(engine) as connection:
        attributes: dict[Any, Any] = config.attributes
        attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise ControlDatabaseError(engine.url.render_as_string(), str(error)) from error
