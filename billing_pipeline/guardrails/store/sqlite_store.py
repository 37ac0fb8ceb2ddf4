"""The ledger in SQLite: the control database's file, one writer per process, `BEGIN IMMEDIATE` between processes.

What the book has read stays true as long as no other connection has committed, which SQLite tells by `data_version`:
a hot account is not read again for every group.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from billing_pipeline.control.clock import now_us
from billing_pipeline.errors import GuardUnavailableError
from billing_pipeline.guardrails.commands import Command, StopKind
from billing_pipeline.guardrails.ledger.book import Book, Changes
from billing_pipeline.guardrails.ledger.rows import (
    WindowKey,
)
from billing_pipeline.guardrails.requests import Request, Reserve
from billing_pipeline.guardrails.store import columns
from billing_pipeline.guardrails.store import sqlite_statements as statements
from billing_pipeline.guardrails.store.columns import Values
from billing_pipeline.guardrails.store.look_ups import LookUps
from billing_pipeline.guardrails.store.sqlite_journal import void_journal
from billing_pipeline.guardrails.store.sqlite_turn import SqliteTurn

BUSY_SECONDS = 20.0
"""How long a group waits for the writers of other processes."""
STATEMENTS_KEPT = 256


class SqliteStore(LookUps):
    """Opened with the first group, by the writer's thread.

    Args:
        path: the control database's file, migrated to head.
        clock_us: in place of the wall clock, UTC µs.
        connect: opens it as `sqlite3.connect` does; a test of power loss puts a file system of its own beneath.
    """

    place = "?"

    def __init__(
        self,
        path: Path,
        clock_us: Callable[[], int] = now_us,
        connect: Callable[..., sqlite3.Connection] = sqlite3.connect,
    ) -> None:
        self._path = path
        self._clock_us = clock_us
        self._connect = connect
        self._turn = SqliteTurn(path)
        self._connection: sqlite3.Connection | None = None
        self._version: int | None = None

    @property
    def location(self) -> str:
        """The file."""
        return str(self._path)

    def begin(self, group: Sequence[Request | Command], book: Book) -> int:
        """See `Store.begin`."""
        self._turn.take(BUSY_SECONDS)
        try:
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            if self._version is None:
                void_journal(self._path)
            (version,) = connection.execute("PRAGMA data_version").fetchone()
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise self._unavailable(error) from error
        if version != self._version:
            book.forget()
            self._version = version
        self._read_answers(group, book)
        return self._clock_us()

    def _read_answers(self, group: Sequence[Request | Command], book: Book) -> None:
        """Nearly every reserve is new: one look finds that out for all of a group."""
        keys = [(each.customer_id, each.idempotency_key) for each in group if isinstance(each, Reserve)]
        unknown = dict.fromkeys(key for key in keys if key not in book.answers)
        book.answers.update(unknown)
        for count, values in statements.parts(list(unknown)):
            for customer_id, key in self._rows(statements.answered(count), values):
                del book.answers[customer_id, key]

    @property
    def prefetches(self) -> bool:
        """A look-up costs microseconds here."""
        return False

    def fetch(self, book: Book, windows: Sequence[WindowKey], sessions: Sequence[str]) -> None:
        """See `Store.fetch`; never asked for."""

    def commit(self, changes: Changes) -> None:
        """See `Store.commit`."""
        connection = self._open()
        try:
            for kept, rows in columns.written(changes):
                for count, values in statements.parts(rows):
                    connection.execute(statements.insert(kept, count), values)
            for count, values in statements.parts(columns.ended_holds(changes)):
                changed = connection.execute(statements.end_holds(count), values).rowcount
                assert changed == count, "a hold ends once"  # noqa: S101 - the lock is held since it was read
            for review_id, at_us in changes.decided_reviews:
                connection.execute(statements.DECIDE_REVIEW, (at_us, review_id))
            connection.execute("COMMIT")
            self._turn.give_way()
        except BaseException as error:
            # What is not confirmed is gone: the journal of a commit that failed is rolled back with the connection.
            self.close()
            if isinstance(error, sqlite3.Error):
                raise self._unavailable(error, "whether anything was moved is not known") from error
            raise

    def roll_back(self) -> None:
        """See `Store.roll_back`."""
        if self._connection is not None and self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error:
                self.close()
        self._turn.give_way()

    def close(self) -> None:
        """See `Store.close`."""
        connection, self._connection, self._version = self._connection, None, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
        self._turn.close()

    def due_holds(self, at_us: int, at_most: int) -> list[str]:
        """See `Rows`."""
        return [hold_id for (hold_id,) in self._rows(statements.DUE_HOLDS, (at_us, at_most))]

    def due_reviews(self, at_us: int, at_most: int) -> list[str]:
        """See `Rows`."""
        return [review_id for (review_id,) in self._rows(statements.DUE_REVIEWS, (at_us, at_most))]

    def due_stops(self, at_us: int, at_most: int) -> list[tuple[str, StopKind]]:
        """See `Rows`."""
        return [(scope, kind) for scope, kind in self._rows(statements.DUE_STOPS, (at_us, at_most))]

    def due_grants(self, at_us: int, at_most: int) -> list[tuple[str, str]]:
        """See `Rows`."""
        return [
            (customer, currency) for customer, currency in self._rows(statements.DUE_GRANTS, (at_us, at_most))
        ]

    def _rows(self, statement: str, values: Values) -> list[Values]:
        try:
            return self._open().execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._unavailable(error) from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = self._connect(
                self._path,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=STATEMENTS_KEPT,
            )
            # Truncated and synced, the journal of a commit cannot come back; a deleted one can, when the power goes
            # before its folder is on disk, and takes back what was answered. Others may delete it all the same.
            for pragma in ("journal_mode = TRUNCATE", "synchronous = FULL", "foreign_keys = ON"):
                connection.execute(f"PRAGMA {pragma}").fetchone()
            self._connection = connection
        return self._connection

    def _unavailable(
        self, error: sqlite3.Error | OSError, outcome: str = "nothing was moved"
    ) -> GuardUnavailableError:
        return GuardUnavailableError(
            f"the guard's ledger {self._path} cannot be read or written ({error}); {outcome}. "
            "See to the disk or to the process that locks the file, and ask again with the same key"
        )
