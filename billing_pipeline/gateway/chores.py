"""What the gateway does beside requests: reads the API keys again, and moves the queue's clock on."""

import asyncio
from collections.abc import Callable, Iterable

from billing_pipeline.access.api_key import ApiKey, KeyRing
from billing_pipeline.errors import QueueError, QueueFailedError
from billing_pipeline.gateway.gateway import Gateway
from billing_pipeline.ingest.queue import Queue
from billing_pipeline.ingest.queue_clock import wall_clock_us

KEYS_SECONDS = 2.0


async def watch_keys(gateway: Gateway, read_keys: Callable[[], Iterable[ApiKey]]) -> None:
    """Read the keys every few seconds, so that one that is issued or revoked is known soon; never ends.

    Where they cannot be read, those known stay: the control database being away stops no producer.
    """
    while True:
        await asyncio.sleep(KEYS_SECONDS)
        try:
            take_keys(gateway, await asyncio.to_thread(read_keys))
        except Exception as error:  # noqa: BLE001 - whatever keeps the keys from being read may pass
            gateway.metrics.key_failures.inc()
            gateway.log.problem("keys_not_read", kind=type(error).__name__)


def take_keys(gateway: Gateway, keys: Iterable[ApiKey]) -> None:
    """Let these keys be those that are known."""
    found = list(keys)
    gateway.keys = KeyRing(found)
    gateway.limiter.keep_only({key.key_id for key in found})


async def keep_clock(gateway: Gateway, interval_seconds: float) -> None:
    """Move the queue's clock on every so often, so that days close though no event comes; never ends."""
    while True:
        await asyncio.sleep(interval_seconds)
        try:
            await asyncio.to_thread(advance_to_now, gateway.queue)
        except QueueFailedError as error:
            gateway.fail(error)
        except QueueError as error:
            gateway.metrics.clock_failures.inc()
            gateway.log.problem("clock_not_moved", message=str(error))


def advance_to_now(queue: Queue) -> None:
    """Move the queue's clock on to the wall clock, or leave it where it is ahead of that.

    Raises:
        QueueError: the queue cannot be written.
        ClockError: the wall clock cannot be trusted.
    """
    queue.advance(max(wall_clock_us(), queue.clock()))
