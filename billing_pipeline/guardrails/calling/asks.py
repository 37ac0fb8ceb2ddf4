"""Requests carried to the guard, with answers of the right kind: a denial is raised."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from billing_pipeline.errors import GuardUnavailableError
from billing_pipeline.guardrails.answers import Answer, Denied, Ended, Extended, Granted
from billing_pipeline.guardrails.calling.denials import denied_error
from billing_pipeline.guardrails.requests import Extend, Release, Request, Reserve, Settle

Expected = TypeVar("Expected", Granted, Ended, Extended)


class Ask:
    """Asks by whatever carries requests: a ledger of this process, or HTTP."""

    def __init__(self, carry: Callable[[Request], Answer]) -> None:
        self._carry = carry

    def reserve(self, request: Reserve) -> Granted:
        """Hold an estimate.

        Raises:
            GuardDeniedError: nothing was held, and why.
            GuardError: as `ports.Ledger` says.
        """
        return checked(self._carry(request), Granted)

    def end(self, request: Settle | Release) -> Ended:
        """End a hold; errors as `ports.Ledger` says."""
        return checked(self._carry(request), Ended)

    def extend(self, request: Extend) -> Extended:
        """Let a hold end later; errors as `ports.Ledger` says."""
        return checked(self._carry(request), Extended)


class AsyncAsk:
    """As `Ask`, for an event loop."""

    def __init__(self, carry: Callable[[Request], Awaitable[Answer]]) -> None:
        self._carry = carry

    async def reserve(self, request: Reserve) -> Granted:
        """As `Ask.reserve`."""
        return checked(await self._carry(request), Granted)

    async def end(self, request: Settle | Release) -> Ended:
        """As `Ask.end`."""
        return checked(await self._carry(request), Ended)

    async def extend(self, request: Extend) -> Extended:
        """As `Ask.extend`."""
        return checked(await self._carry(request), Extended)


def checked(answer: Answer, expected: type[Expected]) -> Expected:
    """The answer, if it is of the kind that was asked for.

    Raises:
        GuardDeniedError: it is a denial.
        GuardUnavailableError: it is of another kind, so it was not a guard that answered.
    """
    if isinstance(answer, Denied):
        raise denied_error(answer)
    if not isinstance(answer, expected):
        raise GuardUnavailableError(f"a {type(answer).__name__} is no answer to what was asked")
    return answer
