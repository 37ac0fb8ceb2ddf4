"""Control databases for tests: a file, or a schema of its own on PostgreSQL."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

POSTGRES_URL = "postgresql+psycopg://postgres@127.0.0.1:5432/test"


@contextmanager
def new_control_url(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a database without a table, gone afterwards; skips where there is no PostgreSQL."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'control.sqlite'}?timeout=60"
        return
    admin = create_engine(POSTGRES_URL, connect_args={"connect_timeout": 2})
    schema = f"control_{uuid.uuid4().hex}"
    try:
        with admin.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {schema}"))
    except OperationalError as error:
        pytest.skip(f"no PostgreSQL at 127.0.0.1:5432: {error.orig}")
    try:
        yield f"{POSTGRES_URL}?options=-csearch_path%3D{schema}"
    finally:
        with admin.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        admin.dispose()
