"""Stripe's rate limit: so many requests per second, the others are answered 429."""

import time
from collections.abc import Callable
from threading import Lock

from billing_pipeline.invoicing.simulator.faults import rate_limited
from billing_pipeline.invoicing.simulator.http_messages import Handler, Request, Response


class TokenBucket:
    """Lets `per_second` requests through per second, as many at once.

    Args:
        per_second: at least 1.
        monotonic: seconds from anywhere; of this process, not the clock that a rehearsal moves on.
    """

    def __init__(self, per_second: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._monotonic = monotonic
        self._tokens = float(per_second)
        self._filled_at = monotonic()
        self._lock = Lock()

    def take(self) -> bool:
        """Whether one more request may pass."""
        with self._lock:
            now = self._monotonic()
            self._tokens = min(
                float(self._per_second), self._tokens + (now - self._filled_at) * self._per_second
            )
            self._filled_at = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True

    def wrap(self, handler: Handler) -> Handler:
        """The handler behind the limit: nothing is done, and nothing kept, for a request too many."""

        def limited(request: Request) -> Response:
            return handler(request) if self.take() else rate_limited(1)

        return limited
