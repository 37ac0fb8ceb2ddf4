"""The guard within a product's event loop, over the ledger of its control database."""

import asyncio
from typing import TYPE_CHECKING, cast

from billing_pipeline.guardrails.answers import Answer
from billing_pipeline.guardrails.balance import BalanceReader, CustomerBalance
from billing_pipeline.guardrails.calling.asks import AsyncAsk
from billing_pipeline.guardrails.calling.async_calls import AsyncCalls
from billing_pipeline.guardrails.calling.held import WhenUnreachable
from billing_pipeline.guardrails.guard import TIMEOUT_SECONDS, no_answer, readable
from billing_pipeline.guardrails.ports import Ledger
from billing_pipeline.guardrails.requests import Request

if TYPE_CHECKING:
    from concurrent.futures import Future


class AsyncGuard(AsyncCalls):
    """As `Guard`, for coroutines.

    Giving up a call does not take it back: a hold that was granted meanwhile ends by time, a settle is booked.
    """

    def __init__(
        self,
        ledger: Ledger,
        balances: BalanceReader | None = None,
        *,
        when_unreachable: WhenUnreachable = "closed",
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        super().__init__(AsyncAsk(self._carry), when_unreachable)
        self._ledger = ledger
        self._balances = balances
        self._timeout_seconds = timeout_seconds

    async def balance(
        self, customer_id: str, *, project_id: str | None = None, session_id: str | None = None
    ) -> CustomerBalance:
        """As `Guard.balance`."""
        reader = readable(self._balances)
        return await asyncio.to_thread(reader.balance, customer_id, project_id, session_id)

    async def _carry(self, request: Request) -> Answer:
        future = cast("Future[Answer]", self._ledger.submit(request))
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await asyncio.shield(asyncio.wrap_future(future))
        except TimeoutError as error:
            raise no_answer(self._timeout_seconds) from error
