"""The in-memory database that a session leaves to the next: starting one takes longer than most sessions do.

A session has its database for itself, with all of its memory; what it made there is temporary and goes with its
connection. One database is kept at most, and only where nothing of the last session is left of it.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Switched off and on again, it forgets what it has read: the next session is to read the disk.
FORGET_FILES = "SET enable_external_file_cache = false; SET enable_external_file_cache = true"


@dataclass(frozen=True)
class Terms:
    """What a database is started under: a session gets none that was started under others."""

    memory_limit_mb: int
    threads: int
    scratch: Path

    @property
    def settings(self) -> str:
        """The statements that set up a database.

        Statistics are not propagated: by them a column without nulls would be declared so, or not, depending on how
        many files it was read from, and the same rows would be written as other bytes.
        """
        scratch = str(self.scratch).replace("'", "''")
        return (
            f"SET memory_limit = '{self.memory_limit_mb}MB'; SET threads = {self.threads}; "
            f"SET temp_directory = '{scratch}'; "
            "SET autoinstall_known_extensions = false; SET autoload_known_extensions = false; "
            "SET disabled_optimizers = 'statistics_propagation'"
        )


class _Database(NamedTuple):
    root: "DuckDBPyConnection"
    closing: ExitStack


_idle: dict[tuple[int, Terms], _Database] = {}
"""By process too: a forked process must not touch the database of its parent, whose threads it does not have."""


@contextmanager
def lent(
    terms: Terms, connect: Callable[[], AbstractContextManager["DuckDBPyConnection"]]
) -> Iterator["DuckDBPyConnection"]:
    """A connection to a database that nobody else has; `connect` starts one where none is kept."""
    kept_as = (os.getpid(), terms)
    database = _idle.pop(kept_as, None) or _started(terms, connect)
    try:
        with database.root.cursor() as connection:
            yield connection
        database.root.execute(FORGET_FILES)
    except BaseException:
        database.closing.close()
        raise
    if any(terms.scratch.glob("duckdb_temp_*")):  # it has spilled, and leaves its files only with its end
        database.closing.close()
        return
    for other in [each for each in _idle if each[0] == kept_as[0]]:
        if (replaced := _idle.pop(other, None)) is not None:
            replaced.closing.close()
    _idle[kept_as] = database


def _started(terms: Terms, connect: Callable[[], AbstractContextManager["DuckDBPyConnection"]]) -> _Database:
    closing = ExitStack()
    root = closing.enter_context(connect())
    try:
        root.execute(terms.settings)
    except BaseException:
        closing.close()
        raise
    return _Database(root, closing)
