"""What the writer needs of a database: rows to decide on, and one transaction that makes a group durable."""

from collections.abc import Sequence
from typing import Protocol

from billing_pipeline.guardrails.commands import Command
from billing_pipeline.guardrails.ledger.book import Book, Changes, Rows
from billing_pipeline.guardrails.requests import Request


class Store(Rows, Protocol):
    """One connection, used by the writer's thread alone."""

    @property
    def location(self) -> str:
        """Where it is, for people; without password."""

    def begin(self, group: Sequence[Request | Command], book: Book) -> int:
        """Open a transaction that nobody else can move the group's rows beside; returns the database's clock, UTC µs.

        What the book still believes is true then.

        Raises:
            GuardUnavailableError: the database cannot be reached or locked in time; nothing is open.
        """

    def commit(self, changes: Changes) -> None:
        """Write the changes and make them durable.

        Raises:
            GuardUnavailableError: they could not be written; nothing of them is there.
            GuardUnconfirmedError: whether they are there is not known.
        """

    def roll_back(self) -> None:
        """End the transaction without a change."""

    def close(self) -> None:
        """Leave the database."""
