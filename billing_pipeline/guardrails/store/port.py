"""What the writer needs of a database: rows to decide on, and one transaction that makes a group durable."""

from collections.abc import Sequence
from typing import Protocol

from billing_pipeline.guardrails.commands import Command
from billing_pipeline.guardrails.ledger.book import Book, Changes
from billing_pipeline.guardrails.ledger.rows import WindowKey
from billing_pipeline.guardrails.ledger.rows_port import Rows
from billing_pipeline.guardrails.requests import Request


class Store(Rows, Protocol):
    """One connection, used by the writer's thread alone."""

    @property
    def location(self) -> str:
        """Where it is, for people; without password."""

    @property
    def prefetches(self) -> bool:
        """Whether a look-up is dear, so that those of a whole group are worth finding out beforehand."""

    def fetch(self, book: Book, windows: Sequence[WindowKey], sessions: Sequence[str]) -> None:
        """Put windows and sessions into the book, also that there are none. Only an economy: others are looked up."""

    def begin(self, group: Sequence[Request | Command], book: Book) -> int:
        """Open a transaction that nobody else can move the group's rows beside; returns the database's clock, UTC µs.

        What the book still believes is true then.

        Raises:
            GuardUnavailableError: the database cannot be reached or locked in time; nothing is open.
        """

    def commit(self, changes: Changes) -> None:
        """Write the changes and make them durable.

        Raises:
            GuardUnavailableError: whether they are there is not known; a repeat with the same key finds out.
        """

    def roll_back(self) -> None:
        """End the transaction without a change."""

    def close(self) -> None:
        """Leave the database."""
