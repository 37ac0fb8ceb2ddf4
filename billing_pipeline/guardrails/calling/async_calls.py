"""What products call from an event loop; as `calls`."""

import functools
from collections.abc import Awaitable, Callable
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
from billing_pipeline.guardrails.calling.asks import AsyncAsk
from billing_pipeline.guardrails.calling.guarding import Guarding, check_coroutine, check_fields
from billing_pipeline.guardrails.calling.held import AsyncHold, OnError, WhenUnreachable

P = ParamSpec("P")
R = TypeVar("R")


class AsyncCalls:
    """The guard as coroutines call it; everything as `calls.Calls`."""

    def __init__(self, ask: AsyncAsk, when_unreachable: WhenUnreachable = "closed") -> None:
        self._ask = ask
        self._when_unreachable = when_unreachable

    async def reserve(
        self,
        customer_id: str,
        project_id: str,
        session_id: str | None = None,
        *,
        estimate: Cost,
        **fields: Unpack[ReserveFields],
    ) -> Granted:
        """As `Calls.reserve`."""
        return await self._ask.reserve(
            reserve_request(customer_id, project_id, session_id, estimate, **fields)
        )

    async def settle(self, hold_id: str, actual: Cost, *, idempotency_key: str = "settle") -> Ended:
        """As `Calls.settle`."""
        return await self._ask.end(settle_request(hold_id, actual, idempotency_key))

    async def release(self, hold_id: str, *, idempotency_key: str = "release") -> Ended:
        """As `Calls.release`."""
        return await self._ask.end(release_request(hold_id, idempotency_key))

    async def extend(self, hold_id: str, ttl_seconds: int, *, idempotency_key: str | None = None) -> Extended:
        """As `Calls.extend`."""
        return await self._ask.extend(extend_request(hold_id, ttl_seconds, idempotency_key))

    def hold(
        self,
        customer_id: str,
        project_id: str,
        session_id: str | None = None,
        *,
        estimate: Cost,
        on_error: OnError = "release",
        **fields: Unpack[ReserveFields],
    ) -> AsyncHold:
        """As `Calls.hold`, for an `async with` block."""
        request = reserve_request(customer_id, project_id, session_id, estimate, **fields)
        return AsyncHold(
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
    ) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]:
        """As `Calls.guarded`, for coroutine functions."""
        check_fields(fields)
        guarding = Guarding(
            customer_id=customer_id,
            project_id=project_id,
            session_id=session_id,
            estimate=estimate,
            actual=actual,
            counts_repeats=counts_repeats,
        )

        def decorate(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
            check_coroutine(function)

            @functools.wraps(function)
            async def call(*args: P.args, **named: P.kwargs) -> R:
                request, most = guarding.asked(function, fields, args, named)
                async with AsyncHold(
                    self._ask,
                    request,
                    most,
                    on_error,
                    self._when_unreachable,
                ) as hold:
                    result = await function(*args, **named)
                    await hold.settle(most if actual is None else actual(result))
                return result

            return call

        return decorate
