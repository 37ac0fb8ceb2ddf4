"""The queue's answers brought to the event loop."""

import asyncio
import threading
from concurrent.futures import Future

import pytest

from billing_pipeline.errors import QueueError
from billing_pipeline.gateway.completions import Completions


def test_each_wait_ends_as_its_future_does() -> None:
    """Many of them, ended by another thread in any order."""

    async def run() -> list[range]:
        completions = Completions(asyncio.get_running_loop())
        futures: list[Future[range]] = [Future() for _ in range(500)]
        waits = [completions.wait(future) for future in futures]

        def end() -> None:
            for number, future in reversed([*enumerate(futures)]):
                future.set_result(range(number, number + 1))

        thread = threading.Thread(target=end)
        thread.start()
        found = await asyncio.gather(*waits)
        thread.join()
        return found

    assert asyncio.run(run()) == [range(number, number + 1) for number in range(500)]


def test_an_error_of_the_queue_is_raised() -> None:
    async def run() -> None:
        future: Future[range] = Future()
        future.set_exception(QueueError("no"))
        await Completions(asyncio.get_running_loop()).wait(future)

    with pytest.raises(QueueError, match="no"):
        asyncio.run(run())


def test_giving_up_a_wait_leaves_the_future_alone() -> None:
    """What was handed to the queue is written, whether or not somebody waits for it."""

    async def run() -> Future[range]:
        future: Future[range] = Future()
        wait = Completions(asyncio.get_running_loop()).wait(future)
        wait.cancel()
        await asyncio.sleep(0)
        future.set_result(range(1))
        await asyncio.sleep(0.01)
        return future

    assert asyncio.run(run()).result() == range(1)
