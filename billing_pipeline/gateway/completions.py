"""Answers of other threads brought to the event loop: one wake-up for all that a commit ends, not one for each."""

import asyncio
from collections import deque
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Completions:
    """Waits for futures of another thread. Giving up a wait never cancels what is waited for: it will be done."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ended: deque[tuple[asyncio.Future[Any], Future[Any]]] = deque()
        self._scheduled = False

    def wait(self, future: Future[T]) -> asyncio.Future[T]:
        """An awaitable that ends as the future does."""
        waiter: asyncio.Future[T] = self._loop.create_future()
        future.add_done_callback(lambda done: self._end(waiter, done))
        return waiter

    def _end(self, waiter: asyncio.Future[Any], done: Future[Any]) -> None:
        # In the writer's thread. What is appended before the flag is looked at is seen by the delivery that is under
        # way, or by the one scheduled here.
        self._ended.append((waiter, done))
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        while self._ended:
            waiter, done = self._ended.popleft()
            if waiter.done():
                continue
            error = done.exception()
            if error is None:
                waiter.set_result(done.result())
            else:
                waiter.set_exception(error)
