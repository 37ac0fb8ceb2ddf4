"""What products call from an event loop: as `test_guard.py`, where it could be otherwise."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

import pytest

from billing_pipeline.errors import GuardConflictError, GuardDeniedError, GuardUnavailableError
from billing_pipeline.guardrails.async_guard import AsyncGuard
from billing_pipeline.guardrails.requests import Release, Reserve, Settle
from billing_pipeline_tests.guardrails.told_ledger import ToldLedger

Story = Callable[[AsyncGuard], Coroutine[Any, Any, None]]


def told(story: Story, ledger: ToldLedger) -> list[Any]:
    """The requests that a story makes."""
    asyncio.run(story(AsyncGuard(ledger)))
    return ledger.requests


def test_a_hold_is_settled_released_or_settled_at_its_estimate() -> None:
    """By its body, by an exception, or by leaving."""
    ledger = ToldLedger()

    async def story(guard: AsyncGuard) -> None:
        async with guard.hold("acme", "p", estimate=100) as hold:
            assert await hold.extend(900) is not None
            ended = await hold.settle(60)
            assert ended is not None
            assert ended.freed == 40
        with pytest.raises(ZeroDivisionError):
            async with guard.hold("acme", "p", estimate=100):
                raise ZeroDivisionError
        async with guard.hold("acme", "p", estimate=100):
            pass
        async with guard.hold("acme", "p", estimate=100) as hold:
            await hold.release()

    told(story, ledger)
    assert ledger.available == 500 - 60 - 100
    assert not ledger.open


def test_plain_calls_and_denials() -> None:
    ledger = ToldLedger()

    async def story(guard: AsyncGuard) -> None:
        granted = await guard.reserve("acme", "p", estimate=400)
        with pytest.raises(GuardDeniedError, match="credit"):
            await guard.reserve("acme", "p", estimate=101)
        await guard.extend(granted.hold_id, 60)
        await guard.settle(granted.hold_id, 10)
        await guard.release((await guard.reserve("acme", "p", estimate=1)).hold_id)

    told(story, ledger)
    assert ledger.available == 490


def test_a_hold_of_long_ago_lets_nothing_run_under_its_key() -> None:
    """As in threads."""
    ledger = ToldLedger()

    async def story(guard: AsyncGuard) -> None:
        async with guard.hold("acme", "p", estimate=100, idempotency_key="job"):
            pass
        with pytest.raises(GuardConflictError, match="has ended"):
            async with guard.hold("acme", "p", estimate=100, idempotency_key="job"):
                pytest.fail("the action ran")

    told(story, ledger)
    assert ledger.available == 400


def test_a_cancelled_body_releases_its_hold() -> None:
    ledger = ToldLedger()

    async def story(guard: AsyncGuard) -> None:
        entered = asyncio.Event()

        async def body() -> None:
            async with guard.hold("acme", "p", estimate=100):
                entered.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(body())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert [type(request) for request in told(story, ledger)] == [Reserve, Release]


def test_a_guarded_coroutine_is_a_hold() -> None:
    """And only coroutines are guarded."""
    ledger = ToldLedger()

    async def story(guard: AsyncGuard) -> None:
        @guard.guarded("acme", "p", estimate=lambda text: len(text) * 2, actual=len)
        async def echo(text: str) -> str:
            await asyncio.sleep(0)
            return text

        assert await echo("hello") == "hello"
        with pytest.raises(TypeError, match="no coroutine function"):
            guard.guarded("acme", "p", estimate=1)(print)  # type: ignore[arg-type]  # is refused

    reserve, settle = told(story, ledger)
    assert (reserve.amount, settle.amount) == (10, 5)


def test_giving_up_a_settle_does_not_take_it_back() -> None:
    """What was handed to the ledger is booked, whether or not somebody waits for it."""
    handed: list[Future[Any]] = []

    class Slow(ToldLedger):
        def submit(self, request: Any) -> Future[Any]:
            if isinstance(request, Settle):
                handed.append(Future())
                return handed[0]
            return super().submit(request)

    async def story(guard: AsyncGuard) -> None:
        granted = await guard.reserve("acme", "p", estimate=1)
        task = asyncio.create_task(guard.settle(granted.hold_id, 1))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        slow = AsyncGuard(ledger, timeout_seconds=0.01)
        with pytest.raises(GuardUnavailableError, match="not known"):
            await slow.settle(granted.hold_id, 1)

    ledger = Slow()
    told(story, ledger)
    assert not handed[0].cancelled()
