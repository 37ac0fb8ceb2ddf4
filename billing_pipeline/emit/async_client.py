"""The client for an event loop: as the sync client, without ever blocking the loop on disk or network."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Self, Unpack

from billing_pipeline.contract.events import UsageEvent
from billing_pipeline.emit.async_sender import AsyncSender, pause
from billing_pipeline.emit.building import Event, UsageFields, build_usage
from billing_pipeline.emit.core import CLOSE_TIMEOUT_SECONDS, ApiKey, Core, Durability, events_url
from billing_pipeline.emit.delivery import Counts
from billing_pipeline.emit.options import Options
from billing_pipeline.emit.process_life import unwatch, watch
from billing_pipeline.emit.transport import AsyncHttpTransport, AsyncTransport
from billing_pipeline.errors import ClientClosedError


class AsyncClient:
    """Usage events from one event loop to the gateway; arguments as of `client.Client`.

    It is opened and closed with `async with`. A cancelled `emit` may have taken its event over all the same.
    """

    def __init__(
        self,
        url: str,
        api_key: ApiKey,
        *,
        source: str | None = None,
        spool_directory: Path | None = None,
        durability: Durability = "disk",
        options: Options | None = None,
        transport: AsyncTransport | None = None,
        pause: Callable[[asyncio.Event, float], Awaitable[object]] = pause,
    ) -> None:
        self._options = options or Options()
        self._open = lambda: Core(api_key, source, spool_directory, durability, self._options)
        self._transport = transport or AsyncHttpTransport(
            events_url(url), self._options.request_timeout_seconds
        )
        self._pause = pause
        self._opened: tuple[Core, AsyncSender] | None = None

    async def __aenter__(self) -> Self:
        """Open the spool; errors as `client.Client`."""
        core = await asyncio.to_thread(self._open)
        self._opened = core, AsyncSender(core, self._transport, self._pause)
        watch(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def usage(self, **fields: Unpack[UsageFields]) -> UsageEvent:
        """Build one usage event and emit it; errors as `emit`."""
        core = self._core
        event = build_usage(fields, source=core.source, now_us=core.options.chance.wall_us())
        await self.emit(event)
        return event

    async def emit(self, event: Event) -> None:
        """Take an event over; errors as `client.Client.emit`."""
        await self.emit_all([event])

    async def emit_all(self, events: Iterable[Event]) -> None:
        """Take events over with one sync of the disk, all or none; errors as `emit`."""
        core = self._core
        payloads = core.payloads(events)
        if core.durability == "disk":
            await asyncio.to_thread(core.append, payloads)
        else:
            core.append(payloads)
        self._sender.nudge()

    async def flush(self, timeout_seconds: float) -> bool:
        """Send now what was emitted before; whether the gateway settled all of it in time."""
        self._core.check_open()
        return await self._sender.flush(timeout_seconds)

    async def close(self, timeout_seconds: float = CLOSE_TIMEOUT_SECONDS) -> bool:
        """Flush, then let go of the spool; whether everything was settled. What was not stays in the spool."""
        if self._opened is None or not self._core.refuse("this client is closed; make a new one"):
            return True
        unwatch(self)
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        await self._sender.flush(timeout_seconds)
        await self._sender.stop(deadline - asyncio.get_running_loop().time())
        return await asyncio.to_thread(self._core.close)

    @property
    def counts(self) -> Counts:
        """What was done so far; `waiting` includes what an earlier process left."""
        return self._core.counts()

    @property
    def last_problem(self) -> str | None:
        """Why the last attempt to send failed; None where it did not."""
        return self._core.delivery.last_problem

    def at_exit(self) -> None:
        """As `process_life.Living`: the loop is gone, so nothing more is sent; what waits is told of."""
        if self._core.refuse("the process ends"):
            self._core.close()

    def forget(self) -> None:
        """As `process_life.Living`."""
        self._core.forget()

    @property
    def _core(self) -> Core:
        return self._require()[0]

    @property
    def _sender(self) -> AsyncSender:
        return self._require()[1]

    def _require(self) -> tuple[Core, AsyncSender]:
        if self._opened is None:
            raise ClientClosedError("this client is not open yet; use it within `async with`")
        return self._opened
