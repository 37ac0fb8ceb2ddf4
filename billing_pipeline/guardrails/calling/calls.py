"""What products call, whatever carries their requests: reserve, settle, release, extend, hold, guarded."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, Unpack

from billing_pipeline.guardrails.answers import Ended, Extended, Granted
from billing_pipeline.guardrails.calling.asking import (
    Cost,
    ReserveFields,
    extend_request,
    release_request,
    reserve_request,
    settle_request,
)
from billing_pipeline.guardrails.calling.asks import Ask
from billing_pipeline.guardrails.calling.guarding import Guarding, check_fields, check_plain
from billing_pipeline.guardrails.calling.held import Hold, OnError, WhenUnreachable

P = ParamSpec("P")
R = TypeVar("R")


class Calls:
    """The guard as threads call it. An amount is nano-units; usage is priced by the rule book in force."""

    def __init__(self, ask: Ask, when_unreachable: WhenUnreachable = "closed") -> None:
        self._ask = ask
        self._when_unreachable = when_unreachable

    def reserve(
        self,
        customer_id: str,
        project_id: str,
        session_id: str | None = None,
        *,
        estimate: Cost,
        **fields: Unpack[ReserveFields],
    ) -> Granted:
        """Hold the most that an action can cost, before it runs.

        The same `idempotency_key` again gets the same answer, a denial too; without one each call is another action.

        Raises:
            GuardDeniedError: nothing was held: the action must not run.
            GuardRequestError: a field is not possible.
            UnpricedUsageError: the estimate has no price.
            GuardConflictError: the key was used for another reserve.
            GuardUnavailableError: the guard cannot be reached; whether it holds anything is not known.
        """
        return self._ask.reserve(reserve_request(customer_id, project_id, session_id, estimate, **fields))

    def settle(self, hold_id: str, actual: Cost, *, idempotency_key: str = "settle") -> Ended:
        """End a hold at what its action did cost, also after it has expired; usage is sent to the log as well.

        Raises:
            HoldNotFoundError: there is no such hold.
            GuardConflictError: it has ended otherwise.
            GuardRequestError: a field is not possible.
            UnpricedUsageError: the usage has no price; the hold stays.
            GuardUnavailableError: the guard cannot be reached; settle again.
        """
        return self._ask.end(settle_request(hold_id, actual, idempotency_key))

    def release(self, hold_id: str, *, idempotency_key: str = "release") -> Ended:
        """End a hold unused; errors as `settle`."""
        return self._ask.end(release_request(hold_id, idempotency_key))

    def extend(self, hold_id: str, ttl_seconds: int, *, idempotency_key: str | None = None) -> Extended:
        """Let a hold end by itself only so long from now; errors as `settle`."""
        return self._ask.extend(extend_request(hold_id, ttl_seconds, idempotency_key))

    def hold(
        self,
        customer_id: str,
        project_id: str,
        session_id: str | None = None,
        *,
        estimate: Cost,
        on_error: OnError = "release",
        **fields: Unpack[ReserveFields],
    ) -> Hold:
        """A hold for a `with` block; see `held` for how it ends. Errors, on entering, as `reserve`."""
        request = reserve_request(customer_id, project_id, session_id, estimate, **fields)
        return Hold(
            self._ask,
            request,
            estimate,
            on_error,
            self._when_unreachable,
            is_repeatable="idempotency_key" in fields,
        )

    def guarded(
        self,
        customer_id: str | Callable[..., str],
        project_id: str | Callable[..., str],
        session_id: str | Callable[..., str | None] | None = None,
        *,
        estimate: Cost | Callable[..., Cost],
        actual: Callable[[Any], Cost] | None = None,
        counts_repeats: bool = True,
        on_error: OnError = "release",
        **fields: Unpack[ReserveFields],
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """A decorator that holds around each call of a function; see `guarding.Guarding` for the arguments.

        Raises:
            TypeError: on decorating, where the function is a coroutine function or a generator, or a key is given.
        """
        check_fields(fields)
        guarding = Guarding(
            customer_id=customer_id,
            project_id=project_id,
            session_id=session_id,
            estimate=estimate,
            actual=actual,
            counts_repeats=counts_repeats,
        )

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            check_plain(function)

            @functools.wraps(function)
            def call(*args: P.args, **named: P.kwargs) -> R:
                request, most = guarding.asked(function, fields, args, named)
                with Hold(
                    self._ask,
                    request,
                    most,
                    on_error,
                    self._when_unreachable,
                ) as hold:
                    result = function(*args, **named)
                    hold.settle(most if actual is None else actual(result))
                return result

            return call

        return decorate
