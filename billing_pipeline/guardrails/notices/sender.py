"""Sends notices to the webhook."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx
import msgspec
from sqlalchemy import Engine

from billing_pipeline.contract.instants import instant_text
from billing_pipeline.control.clock import now_us
from billing_pipeline.guardrails.notices import book
from billing_pipeline.guardrails.notices.book import Notice
from billing_pipeline.guardrails.notices.signature import headers_of

ATTEMPT_SECONDS = 15.0
"""From connecting to the answer's status, however slowly it drips."""
AT_ONCE = 8
DUE_MOST = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where notices go, and the secrets that they are signed with."""

    url: str
    secrets: Sequence[bytes]
    attempt_seconds: float = ATTEMPT_SECONDS


class NoticeSender:
    """One per process; several processes share the notices."""

    def __init__(self, control: Engine, webhook: Webhook, clock_us: Callable[[], int] = now_us) -> None:
        self._control = control
        self._webhook = webhook
        self._clock_us = clock_us
        self._client = httpx.AsyncClient(
            timeout=webhook.attempt_seconds,
            follow_redirects=False,
            trust_env=False,
            limits=httpx.Limits(max_connections=AT_ONCE),
        )

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def send_due(self) -> int:
        """Try every notice that is due, some at once; returns how many were delivered. An attempt never raises."""
        now = self._clock_us()
        await asyncio.to_thread(book.give_up_old, self._control, now)
        found = await asyncio.to_thread(book.due, self._control, now, DUE_MOST)
        turns = asyncio.Semaphore(AT_ONCE)

        async def in_turn(notice: Notice) -> bool:
            async with turns:
                return await self._send(notice)

        return sum(await asyncio.gather(*map(in_turn, found)))

    async def _send(self, notice: Notice) -> bool:
        if not await asyncio.to_thread(book.claim, self._control, notice, self._clock_us()):
            return False
        reason = await self._attempt(notice)
        if reason is None:
            await asyncio.to_thread(book.delivered, self._control, notice, self._clock_us())
            return True
        await asyncio.to_thread(book.failed, self._control, notice, self._clock_us(), reason)
        return False

    async def _attempt(self, notice: Notice) -> str | None:
        """Why it failed; None where the receiver has it. The answer's body is not read."""
        webhook = self._webhook
        body = body_of(notice)
        headers = headers_of(webhook.secrets, notice.notice_id, self._clock_us() // 1_000_000, body)
        try:
            async with (
                asyncio.timeout(webhook.attempt_seconds),
                self._client.stream("POST", webhook.url, content=body, headers=headers) as answer,
            ):
                return None if answer.is_success else f"HTTP {answer.status_code}"
        except TimeoutError:
            return f"no answer within {webhook.attempt_seconds:g} seconds"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return f"{type(error).__name__}: {error}"


def body_of(notice: Notice) -> bytes:
    """What is sent: the kind, when it was written, and what the guard wrote."""
    try:
        data = msgspec.json.decode(notice.payload)
    except msgspec.DecodeError:
        data = {"text": notice.payload}
    return msgspec.json.encode(
        {"type": notice.kind, "timestamp": instant_text(notice.created_at), "data": data}
    )
