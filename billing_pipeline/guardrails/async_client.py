"""The guard over HTTP, for a product's event loop; as `client`."""

import asyncio
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self, TypeVar, cast

from billing_pipeline.emit.answers import Answer as HttpAnswer
from billing_pipeline.emit.answers import NoAnswer
from billing_pipeline.guardrails.answers import Answer
from billing_pipeline.guardrails.balance import CustomerBalance
from billing_pipeline.guardrails.calling.asks import AsyncAsk
from billing_pipeline.guardrails.calling.async_calls import AsyncCalls
from billing_pipeline.guardrails.calling.held import WhenUnreachable
from billing_pipeline.guardrails.calling.http_calls import (
    Again,
    ApiKey,
    Patience,
    answer_of,
    balance_of,
    balance_path,
    body_of,
    header_of,
    path_of,
)
from billing_pipeline.guardrails.client import needs_tls, unreachable
from billing_pipeline.guardrails.requests import Request

if TYPE_CHECKING:
    import httpx

Found = TypeVar("Found")


class AsyncGuardClient(AsyncCalls):
    """As `GuardClient`, for coroutines."""

    def __init__(
        self,
        url: str,
        api_key: ApiKey,
        *,
        when_unreachable: WhenUnreachable = "closed",
        patience: Patience | None = None,
    ) -> None:
        super().__init__(AsyncAsk(self._carry), when_unreachable)
        self._url = url.rstrip("/")
        self._api_key = api_key
        self._patience = patience or Patience()
        self._client: httpx.AsyncClient | None = None
        self._process = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; the next request opens others."""
        if self._client is not None and self._process == os.getpid():
            await self._client.aclose()
        self._client = None

    async def balance(
        self, customer_id: str, *, project_id: str | None = None, session_id: str | None = None
    ) -> CustomerBalance:
        """As `Guard.balance`."""
        path = balance_path(customer_id, project_id, session_id)
        return await self._ask_until("GET", path, None, balance_of)

    async def _carry(self, request: Request) -> Answer:
        def read(found: HttpAnswer | NoAnswer) -> Answer | Again:
            return answer_of(found, request)

        return cast("Answer", await self._ask_until("POST", path_of(request), body_of(request), read))

    async def _ask_until(
        self,
        method: str,
        path: str,
        body: bytes | None,
        read: Callable[[HttpAnswer | NoAnswer], Found | Again],
    ) -> Found:
        patience = self._patience
        deadline = time.monotonic() + patience.timeout_seconds
        attempt = 0
        while True:
            left_seconds = deadline - time.monotonic()
            found = read(await self._send(method, path, body, min(patience.attempt_seconds, left_seconds)))
            if not isinstance(found, Again):
                return found
            pause_seconds = patience.pause_seconds(attempt, found)
            if time.monotonic() + pause_seconds >= deadline:
                raise unreachable(self._url, attempt + 1, found)
            await asyncio.sleep(pause_seconds)
            attempt += 1

    async def _send(
        self, method: str, path: str, body: bytes | None, timeout_seconds: float
    ) -> HttpAnswer | NoAnswer:
        import httpx

        headers = {"authorization": header_of(self._api_key), "content-type": "application/json"}
        if self._client is None or self._process != os.getpid():
            # After a fork the parent's connections are not ours.
            self._client, self._process = httpx.AsyncClient(verify=needs_tls(self._url)), os.getpid()
        try:
            found = await self._client.request(
                method, self._url + path, content=body, headers=headers, timeout=timeout_seconds
            )
        except (httpx.HTTPError, OSError) as error:
            return NoAnswer(f"{type(error).__name__}: {error}")
        return HttpAnswer(found.status_code, dict(found.headers), found.content)
