"""How far each group has read: in a file of its own, so that readers never write the queue's."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from billing_pipeline.errors import QueueError

BUSY_SECONDS = 30.0


class Consumers:
    """Committed offsets by group, in SQLite with a rollback journal: any number of processes may write.

    Offsets never go back, and an offset returned by `committed` is durable.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def commit(self, group: str, next_offset: int) -> None:
        """Record that the group is done with every record below `next_offset`; again is no error.

        Raises:
            QueueError: it would go back.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS consumers "
                "(consumer_group TEXT PRIMARY KEY, next_offset INTEGER NOT NULL)"
            )
            before = _committed(connection).get(group, 0)
            if next_offset < before:
                raise QueueError(
                    f"group {group!r} has committed offset {before} and cannot go back to {next_offset}; "
                    "to read again, use another group name"
                )
            connection.execute(
                "INSERT INTO consumers VALUES (?, ?) "
                "ON CONFLICT (consumer_group) DO UPDATE SET next_offset = excluded.next_offset",
                (group, next_offset),
            )
            connection.execute("COMMIT")

    def committed(self) -> dict[str, int]:
        """The committed offset of every group that has one."""
        if not self._path.exists():
            return {}
        with self._open() as connection:
            return _committed(connection)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
            try:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA fullfsync = ON")
                yield connection
            finally:
                connection.close()
        except sqlite3.DatabaseError as error:
            raise QueueError(
                f"{self._path} cannot be used: {error}; see to the disk and try again"
            ) from error


def _committed(connection: sqlite3.Connection) -> dict[str, int]:
    made = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'consumers'").fetchone()
    if made is None:
        return {}
    return dict(
        connection.execute("SELECT consumer_group, next_offset FROM consumers ORDER BY consumer_group")
    )
