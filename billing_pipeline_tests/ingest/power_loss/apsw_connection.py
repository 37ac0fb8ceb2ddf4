"""What the queue and the ledger ask of a `sqlite3.Connection`, made of apsw's, which can have its own file system."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import apsw

from billing_pipeline.ingest.queue_file import Connect


class ApswConnection:
    """Speaks like `sqlite3`, errors included. `rewrite` may change statements, `closes` says whether close does."""

    def __init__(self, path: str, vfs: str, rewrite: Callable[[str], str], *, closes: bool) -> None:
        self._rewrite, self._closes = rewrite, closes
        with _sqlite3_errors():
            self._connection = apsw.Connection(path, vfs=vfs)

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> "ApswCursor":
        with _sqlite3_errors():
            before = self._connection.total_changes()
            rows = self._connection.execute(self._rewrite(sql), values).fetchall()
            return ApswCursor(rows, self._connection.total_changes() - before)

    def executemany(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> "ApswCursor":
        with _sqlite3_errors():
            before = self._connection.total_changes()
            self._connection.executemany(sql, rows)
            return ApswCursor([], self._connection.total_changes() - before)

    def executescript(self, sql: str) -> None:
        self.execute(sql)

    def close(self) -> None:
        if self._closes:
            with _sqlite3_errors():
                self._connection.close()

    def end(self) -> None:
        """Close at last what stood for a process that was killed."""
        with _sqlite3_errors():
            self._connection.close()


class ApswCursor:
    """Rows that have been read already."""

    def __init__(self, rows: list[Any], rowcount: int = -1) -> None:
        self._rows = iter(rows)
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)


def connect_through(
    vfs: str,
    rewrite: Callable[[str], str] = str,
    *,
    closes: bool = True,
    opened: list[ApswConnection] | None = None,
) -> Connect:
    """What `sqlite3.connect` is to the queue, over a VFS; every connection is added to `opened`."""

    def connect(path: Any, **_: object) -> sqlite3.Connection:
        connection = ApswConnection(str(path), vfs, rewrite, closes=closes)
        if opened is not None:
            opened.append(connection)
        return cast("sqlite3.Connection", connection)

    return connect


@contextmanager
def _sqlite3_errors() -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        failure = sqlite3.OperationalError(str(error))
        failure.sqlite_errorcode = code = int(vars(error).get("extendedresult", apsw.SQLITE_ERROR))
        names = apsw.mapping_extended_result_codes | apsw.mapping_result_codes
        failure.sqlite_errorname = str(names.get(code, code))
        raise failure from error
