"""The ledger in PostgreSQL: micro-batches of many requests, read and written by one statement per table.

Whatever a group moves belongs to customers. Their rows of `guard_customers` are locked first, in one order, so that
writers of several processes take turns by customer and never wait for each other in a circle.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import Connection

from billing_pipeline.errors import GuardUnavailableError
from billing_pipeline.guardrails.commands import Command, CountUnguarded, DecideReview, ExpireDue, StopKind
from billing_pipeline.guardrails.ledger.book import Book, Changes
from billing_pipeline.guardrails.ledger.rows import (
    WindowKey,
    WindowRow,
)
from billing_pipeline.guardrails.requests import Extend, Release, Request, Reserve, Settle
from billing_pipeline.guardrails.scope import customer_of
from billing_pipeline.guardrails.store import columns
from billing_pipeline.guardrails.store import postgres_statements as statements
from billing_pipeline.guardrails.store.columns import Values
from billing_pipeline.guardrails.store.look_ups import LookUps
from billing_pipeline.guardrails.store.postgres_connection import connect, location_of
from billing_pipeline.ingest.postgres_server import first_line

FOLLOWER = ""
"""Locked in place of a customer by who counts the log; no customer is named so."""


class PostgresStore(LookUps):
    """Connected with the first group, by the writer's thread.

    Args:
        control_url: SQLAlchemy URL.
        clock_us: in place of the server's clock, UTC µs.
    """

    place = "%s"

    def __init__(self, control_url: str, clock_us: Callable[[], int] | None = None) -> None:
        self._url = control_url
        self._clock_us = clock_us
        self._connection: Connection | None = None
        self._known_customers: set[str] = set()
        self._due: dict[str, list[Values]] = {}

    @property
    def location(self) -> str:
        """The URL, without password."""
        return location_of(self._url)

    @property
    def prefetches(self) -> bool:
        """Every look-up is a journey to the server."""
        return True

    def begin(self, group: Sequence[Request | Command], book: Book) -> int:
        """See `Store.begin`."""
        book.forget()  # other processes write, too
        try:
            try:
                return self._begin(group, book)
            except psycopg.OperationalError:
                # The server was restarted, say: nothing is under way yet, so that it can be tried once more.
                if self._connection is not None and not self._connection.broken:
                    raise
                self.close()
                return self._begin(group, book)
        except psycopg.Error as error:
            self.close()
            raise self._unavailable(error) from error

    def _begin(self, group: Sequence[Request | Command], book: Book) -> int:
        if self._connection is None:
            self._connection = connect(self._url)
        connection = self._connection
        customers = self._customers(connection, group)
        if new := [each for each in customers if each not in self._known_customers]:
            # In a transaction of its own: who waits for a row that is being made must hold no other.
            connection.execute(statements.NEW_CUSTOMERS, (new,))
            self._known_customers.update(new)
        connection.execute("BEGIN")
        with connection.pipeline():
            connection.execute(statements.LOCK_CUSTOMERS, (customers,))
            now = connection.execute(statements.NOW_US)
            self._read_customers(connection, book, customers)
            self._read_holds(connection, book, group)
            row = now.fetchone()
        assert row is not None, "there is always a time"  # noqa: S101 - of the server
        return int(row[0]) if self._clock_us is None else self._clock_us()

    def _customers(self, connection: Connection, group: Sequence[Request | Command]) -> list[str]:
        """Whose rows the group may move."""
        found: set[str] = set()
        hold_ids: list[str] = []
        review_ids: list[str] = []
        self._due = {}
        for request in group:
            match request:
                case Settle() | Release() | Extend():
                    hold_ids.append(request.hold_id)
                case DecideReview():
                    review_ids.append(request.review_id)
                case ExpireDue():
                    found |= self._read_due(connection, request.at_most)
                case CountUnguarded():
                    found.add(FOLLOWER)
                    found.update(entry[0] for entry in request.entries)
                case _:
                    scope = getattr(request, "scope", None)
                    found.add(request.customer_id if scope is None else customer_of(scope))  # type: ignore[union-attr]  # one or the other
        for statement, ids in (
            (statements.HOLD_CUSTOMERS, hold_ids),
            (statements.REVIEW_CUSTOMERS, review_ids),
        ):
            if ids:
                found.update(customer for (customer,) in connection.execute(statement, (ids,)))
        return sorted(found)

    def _read_due(self, connection: Connection, at_most: int) -> set[str]:
        """What is due now, by whom; only that is ended, as only its customers are locked."""
        (now,) = connection.execute(statements.NOW_US).fetchone() or (0,)
        at_us = now if self._clock_us is None else self._clock_us()
        found: set[str] = set()
        for name, statement, place in (
            ("holds", statements.DUE_HOLDS, 1),
            ("reviews", statements.DUE_REVIEWS, 1),
            ("stops", statements.DUE_STOPS, 2),
            ("grants", statements.DUE_GRANTS, 0),
        ):
            self._due[name] = connection.execute(statement, (at_us, at_most)).fetchall()
            found.update(row[place] for row in self._due[name])
        return found

    def _read_customers(self, connection: Connection, book: Book, customers: list[str]) -> None:
        found = {
            kept.table: connection.execute(
                f"{statements.SELECTS[kept.table]}customer_id = ANY(%s)", (customers,)
            )
            for kept in (columns.ACCOUNTS, columns.GRANTS, columns.LIMITS, columns.STOPS)
        }
        for customer in customers:
            book.limits[customer], book.stops[customer] = {}, {}
        for account in map(columns.account_of, found["guard_accounts"]):
            key = (account.customer_id, account.currency)
            book.accounts[key] = account
            book.grants_of[key] = []
        for grant in map(columns.grant_of, found["guard_grants"]):
            book.grants_of.setdefault((grant.customer_id, grant.currency), []).append(grant)
        for limit in map(columns.limit_of, found["guard_limits"]):
            key_of_limit = (limit.scope, limit.currency, limit.time_window, limit.severity)
            book.limits[limit.customer_id][key_of_limit] = limit
        for stop in map(columns.stop_of, found["guard_stops"]):
            if stop.active:
                book.stops[stop.customer_id][stop.scope, stop.kind] = stop

    def _read_holds(self, connection: Connection, book: Book, group: Sequence[Request | Command]) -> None:
        ids = [request.hold_id for request in group if isinstance(request, Settle | Release | Extend)]
        ids += [row[0] for row in self._due.get("holds", ())]
        keys = [(each.customer_id, each.idempotency_key) for each in group if isinstance(each, Reserve)]
        if ids:
            book.holds.update(dict.fromkeys(ids))
            for hold in map(columns.hold_of, connection.execute(statements.HOLDS_BY_ID, (ids,))):
                book.holds[hold.hold_id] = hold
        if keys:
            book.answers.update(dict.fromkeys(keys))
            arrays = _turned(keys)
            granted = connection.execute(statements.HOLDS_BY_REQUEST, arrays)
            denied = connection.execute(statements.DENIALS_BY_REQUEST, arrays)
            for hold in map(columns.hold_of, granted):
                book.answers[hold.customer_id, hold.idempotency_key] = book.holds.setdefault(
                    hold.hold_id, hold
                )
            for denial in map(columns.denial_of, denied):
                book.answers[denial.customer_id, denial.idempotency_key] = denial

    def fetch(self, book: Book, windows: Sequence[WindowKey], sessions: Sequence[str]) -> None:
        """See `Store.fetch`."""
        try:
            connection = self._open
            with connection.pipeline():
                if windows:
                    rows = connection.execute(statements.WINDOWS_BY_KEY, _turned(windows))
                    book.windows.update({key: WindowRow(*key) for key in windows})
                    for window in map(columns.window_of, rows):
                        book.windows[window.key] = window
                if sessions:
                    found = connection.execute(statements.SESSIONS_BY_KEY, (list(sessions),))
                    book.sessions.update(dict.fromkeys(sessions))
                    for session in map(columns.session_of, found):
                        book.sessions[session.scope] = session
        except psycopg.Error as error:
            raise self._unavailable(error) from error

    def commit(self, changes: Changes) -> None:
        """See `Store.commit`."""
        connection = self._open
        ends = columns.ended_holds(changes)
        try:
            with connection.pipeline():
                for kept, rows in columns.written(changes):
                    if rows:
                        connection.execute(statements.INSERTS[kept.table], _turned(rows))
                ended = connection.execute(statements.END_HOLDS, _turned(ends)) if ends else None
                if changes.decided_reviews:
                    connection.execute(statements.DECIDE_REVIEWS, _turned(changes.decided_reviews))
            assert ended is None or ended.rowcount == len(ends), "a hold ends once"  # noqa: S101 - its customer is locked
            connection.execute("COMMIT")
        except BaseException as error:
            self.close()
            if isinstance(error, psycopg.Error):
                raise self._unavailable(error) from error
            raise

    def roll_back(self) -> None:
        """See `Store.roll_back`."""
        if self._connection is not None:
            try:
                self._connection.execute("ROLLBACK")
            except psycopg.Error:
                self.close()

    def close(self) -> None:
        """See `Store.close`."""
        connection, self._connection = self._connection, None
        self._known_customers.clear()
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def due_holds(self, at_us: int, at_most: int) -> list[str]:  # noqa: ARG002 - read when the group began
        """See `Rows`."""
        return [row[0] for row in self._due.get("holds", ())]

    def due_reviews(self, at_us: int, at_most: int) -> list[str]:  # noqa: ARG002 - as above
        """See `Rows`."""
        return [row[0] for row in self._due.get("reviews", ())]

    def due_stops(self, at_us: int, at_most: int) -> list[tuple[str, StopKind]]:  # noqa: ARG002 - as above
        """See `Rows`."""
        return [(row[0], row[1]) for row in self._due.get("stops", ())]

    def due_grants(self, at_us: int, at_most: int) -> list[tuple[str, str]]:  # noqa: ARG002 - as above
        """See `Rows`."""
        return [(row[0], row[1]) for row in self._due.get("grants", ())]

    def _rows(self, statement: str, values: Values) -> list[Values]:
        try:
            return self._open.execute(statement, values).fetchall()
        except psycopg.Error as error:
            raise self._unavailable(error) from error

    @property
    def _open(self) -> Connection:
        assert self._connection is not None, "a group has begun"  # noqa: S101 - by the writer alone
        return self._connection

    def _unavailable(self, error: psycopg.Error) -> GuardUnavailableError:
        return GuardUnavailableError(
            f"the guard's ledger at {self.location} cannot be read or written ({first_line(error)}). Whether this was "
            "done is not known: ask again with the same key, which does nothing twice"
        )


def _turned(rows: Iterable[Values]) -> list[list[Any]]:
    """Rows as one array per column."""
    return [list(column) for column in zip(*rows, strict=True)]
