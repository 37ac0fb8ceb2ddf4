"""Fresh databases for thousands of tests: the first is migrated revision by revision, others begin as copies of it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect

from billing_pipeline.control import database


@contextmanager
def made_once() -> Iterator[None]:
    """For as long as the block runs, in this process; one that holds anything is migrated as ever.

    Dagster's databases are its own affair; but also its revisions are read from their files once, and not for each.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_migrate", _Migration().copied)
        patch.setattr(ScriptDirectory, "from_config", _Scripts().read)
        yield


class _Migration:
    def __init__(self) -> None:
        self.migrate = database._migrate
        self.made: bytes | None = None

    def copied(self, engine: Engine) -> None:
        """Stands for a migration to head."""
        file = engine.url.database
        if engine.dialect.name != "sqlite" or not file or inspect(engine).get_table_names():
            self.migrate(engine)
            return
        with closing(sqlite3.connect(file)) as fresh:
            if self.made is None:
                self.migrate(engine)
                self.made = fresh.serialize()
                return
            with closing(sqlite3.connect(":memory:")) as made:
                made.deserialize(self.made)
                made.backup(fresh)


class _Scripts:
    def __init__(self) -> None:
        self.from_config = ScriptDirectory.from_config
        self.known: dict[str | None, ScriptDirectory] = {}

    def read(self, config: Config) -> ScriptDirectory:
        """Stands for reading a folder of revisions."""
        folder = config.get_main_option("script_location")
        if folder not in self.known:
            self.known[folder] = self.from_config(config)
        return self.known[folder]
