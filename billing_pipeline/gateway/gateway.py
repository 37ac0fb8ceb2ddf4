"""The gateway's state, shared by all requests: the queue, the keys, the bounds, and whether it takes anything."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from billing_pipeline.access.api_key import KeyRing
from billing_pipeline.errors import (
    ClockError,
    QueueError,
    QueueFailedError,
    QueueFullError,
    QueueLockedError,
    RequestRefusedError,
)
from billing_pipeline.gateway.byte_budget import ByteBudget
from billing_pipeline.gateway.completions import Completions
from billing_pipeline.gateway.desk import Desk
from billing_pipeline.gateway.metrics import Metrics, QueueCollector
from billing_pipeline.gateway.rate_limit import RateLimiter
from billing_pipeline.gateway.request_code import RequestCode
from billing_pipeline.gateway.request_log import RequestLog
from billing_pipeline.guardrails.balance import BalanceReader
from billing_pipeline.guardrails.ports import Ledger
from billing_pipeline.ingest.queue import Queue
from billing_pipeline.settings import GatewaySettings

_DRAINING_RETRY_SECONDS = 5
_FAILED_RETRY_SECONDS = 30


@dataclass
class Gateway:
    """Owned by the event loop; `fail` may be called from any thread.

    `on_failure` is called once, when the queue can take nothing more: the process is to end.
    """

    queue: Queue
    settings: GatewaySettings
    log: RequestLog
    on_failure: Callable[[], None] = lambda: None
    desk: Desk | None = None
    """Where people work on what the guard has stopped; None where the guard is not served."""
    guard: Ledger | None = None
    """Where products' requests to the guard go; None where the guard is not served."""
    balances: BalanceReader | None = None
    keys: KeyRing = field(default_factory=KeyRing)
    metrics: Metrics = field(default_factory=Metrics)
    limiter: RateLimiter = field(default_factory=RateLimiter)
    in_flight: int = 0
    draining: bool = False
    failure: str | None = None

    def __post_init__(self) -> None:
        self.budget = ByteBudget(self.settings.buffer_mb << 20)
        metrics = self.metrics
        metrics.gauge(
            "billing_gateway_buffer_bytes",
            "Bytes of bodies and lines held now.",
            lambda: self.budget.taken_bytes,
        )
        metrics.gauge("billing_gateway_requests_in_flight", "Requests under way.", lambda: self.in_flight)
        metrics.gauge("billing_gateway_keys", "API keys known.", lambda: len(self.keys))
        metrics.registry.register(QueueCollector(self.queue.status))

    @cached_property
    def completions(self) -> Completions:
        """What waits for the queue and the ledger; made by the first request, in the loop of all."""
        return Completions(asyncio.get_running_loop())

    def check_open(self) -> None:
        """Refuse a new request where none is taken any more.

        Raises:
            RequestRefusedError: the queue has failed, or the gateway is being stopped.
        """
        self.check_working()
        if self.draining:
            message = "the gateway is being stopped; send it again"
            raise RequestRefusedError(
                503, RequestCode.SHUTTING_DOWN, message, retry_after_seconds=_DRAINING_RETRY_SECONDS
            )

    def check_working(self) -> None:
        """Refuse where nothing can be made durable any more; while stopping, what is under way still is.

        Raises:
            RequestRefusedError: the queue has failed.
        """
        if self.failure is not None:
            raise _failed()

    def fail(self, error: QueueFailedError) -> None:
        """Take nothing more, and have the process end."""
        if self.failure is None:
            self.failure = str(error)
            self.log.problem("queue_failed", message=self.failure)
            self.on_failure()

    def refusal_of(self, error: QueueError) -> RequestRefusedError:
        """What a producer is told of an error of the queue; one that will not pass is a failure."""
        if isinstance(error, QueueFailedError):
            self.fail(error)
            return _failed()
        _, code, message, retry_after_seconds = next(row for row in _PASSING if isinstance(error, row[0]))
        if not isinstance(error, QueueFullError):
            self.log.problem(code, message=str(error))
        return RequestRefusedError(503, code, message, retry_after_seconds=retry_after_seconds)


_PASSING: tuple[tuple[type[QueueError], RequestCode, str, int], ...] = (
    (QueueFullError, RequestCode.QUEUE_FULL, "the disk is behind; send it again soon", 1),
    (QueueLockedError, RequestCode.QUEUE_LOCKED, "another process writes the queue; send it again", 5),
    (
        ClockError,
        RequestCode.CLOCK_NOT_TRUSTED,
        "the gateway's wall clock cannot be trusted; see its log",
        60,
    ),
    (
        QueueError,
        RequestCode.QUEUE_NOT_WRITTEN,
        "the queue could not be written, say because its disk is full; see the gateway's log",
        10,
    ),
)
"""What passes by itself or is mended while the gateway runs: the first kind that fits is told."""


def _failed() -> RequestRefusedError:
    message = "the queue cannot be written; see the gateway's log"
    return RequestRefusedError(
        503, RequestCode.QUEUE_FAILED, message, retry_after_seconds=_FAILED_RETRY_SECONDS
    )
