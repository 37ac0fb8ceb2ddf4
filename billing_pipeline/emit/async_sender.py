"""The async client's task: gathers a batch, sends it, pauses after a failure."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from billing_pipeline.emit.core import Core
from billing_pipeline.emit.transport import AsyncTransport


async def pause(stopping: asyncio.Event, seconds: float) -> None:
    """Wait so long, or until the client stops."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)


class AsyncSender:
    """Sends what the spool holds, from its making in a running loop to `stop`."""

    def __init__(
        self,
        core: Core,
        transport: AsyncTransport,
        pause: Callable[[asyncio.Event, float], Awaitable[object]],
    ) -> None:
        self._core = core
        self._transport = transport
        self._pause = pause
        self._changed = asyncio.Event()
        self._concluded = asyncio.Condition()
        self._stopping = asyncio.Event()
        self._hurry = 0
        self._task = asyncio.create_task(self._run(), name="billing sender")

    def nudge(self) -> None:
        """Look again: something was emitted."""
        self._changed.set()

    async def flush(self, timeout_seconds: float) -> bool:
        """Send at once what waits now; whether the gateway settled all of it in time."""
        wanted = self._core.settled + self._core.spool.waiting
        self._hurry = max(self._hurry, wanted)
        self.nudge()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds), self._concluded:
                await self._concluded.wait_for(lambda: self._core.settled >= wanted)
        return self._core.settled >= wanted

    async def stop(self, timeout_seconds: float) -> None:
        """Begin no further attempt, wait for a running one, then break it off."""
        self._stopping.set()
        self.nudge()
        await asyncio.wait([self._task], timeout=max(0.0, timeout_seconds))
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._transport.close()

    async def _run(self) -> None:
        while not self._stopping.is_set():
            self._changed.clear()
            if not self._core.is_due(self._hurry):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), self._core.due_in_seconds())
                continue
            pause_seconds = await self._attempt()
            async with self._concluded:
                self._concluded.notify_all()
            if pause_seconds > 0:
                await self._pause(self._stopping, pause_seconds)

    async def _attempt(self) -> float:
        delivery = self._core.delivery
        try:
            request = await asyncio.to_thread(delivery.request)
            answer = await self._transport.post(request.body, request.headers)
            return await asyncio.to_thread(delivery.conclude, request, answer)
        except Exception as error:  # noqa: BLE001 - whatever broke, events wait, and the task must live to try again
            return delivery.stopped(error)
