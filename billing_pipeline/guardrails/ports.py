"""What the ledger needs from outside, and what it offers: terms, prices, and the one writer that all requests go to."""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Protocol, overload

from billing_pipeline.guardrails.answers import Answer, Denied, Ended, Extended, Granted
from billing_pipeline.guardrails.commands import Command, Done
from billing_pipeline.guardrails.requests import Extend, Release, Request, Reserve, Settle
from billing_pipeline.guardrails.terms import NoTerms, Terms
from billing_pipeline.guardrails.usage import Usage


class TermsBook(Protocol):
    """Says what holds for whom. Called by the writer's thread for every reserve, so it must not wait for anything."""

    def terms(self, customer_id: str, project_id: str, at_us: int) -> Terms | NoTerms:
        """The terms of a customer and project at an instant (UTC µs)."""


class Pricer(Protocol):
    """Says what usage costs, by the code that rates invoices. Called by the writer's thread."""

    def estimate(self, customer_id: str, project_id: str, usage: Sequence[Usage], at_us: int) -> int:
        """The most that usage can cost under the rules in force at an instant (UTC µs), in nano-units, rounded up.

        Raises:
            UnpricedUsageError: there is no price for it, or none that bounds it.
            GuardRequestError: a quantity or dimension is not possible.
        """

    def actual(self, customer_id: str, project_id: str, usage: Sequence[Usage], at_us: int) -> int:
        """As `estimate`, rounded half away from zero."""


class Ledger(Protocol):
    """Where all requests go, one after the other: the writer of this process, or a server behind HTTP.

    A future ends once what it answers is durable. Its errors: `GuardRequestError` (a field is not possible),
    `UnpricedUsageError`, `GuardConflictError` (the key was used for another request, or the hold has ended otherwise),
    `HoldNotFoundError`, `GuardUnavailableError` (the store cannot be reached). A denial is an answer, no error.
    """

    @overload
    def submit(self, request: Reserve) -> Future[Granted | Denied]: ...
    @overload
    def submit(self, request: Settle | Release) -> Future[Ended]: ...
    @overload
    def submit(self, request: Extend) -> Future[Extended]: ...
    @overload
    def submit(self, request: Command) -> Future[Done]: ...

    def submit(self, request: Request | Command) -> Future[Answer | Done]:  # type: ignore[misc]  # the overloads say more
        """Hand in a request or command; never waits for the store."""
