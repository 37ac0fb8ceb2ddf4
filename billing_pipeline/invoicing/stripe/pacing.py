"""Our own limit of requests per second, below Stripe's, shared by all threads of a process."""

import time
from collections.abc import Callable
from threading import Lock

LIVE_REQUESTS_PER_SECOND, TEST_REQUESTS_PER_SECOND = 80, 20
"""Of 100 and 25 that Stripe takes: the account has other users than us."""


BURST_SECONDS = 0.1
"""What may be caught up on: with more, the first second of a push would go beyond Stripe's limit."""


class RateLimiter:
    """A token bucket: `wait` returns when the next request may go out.

    Args:
        per_second: requests per second; 0 for no limit.
        clock: seconds, never going back.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._burst_seconds = max(BURST_SECONDS - self._interval, 0.0)
        self._clock = clock
        self._sleep = sleep
        self._lock = Lock()
        self._next = 0.0
        """When the latest place comes; never further in the past than the burst."""

    def wait(self) -> None:
        """Take a place; sleeps until it comes."""
        if not self._interval:
            return
        with self._lock:
            now = self._clock()
            self._next = max(self._next, now - self._burst_seconds) + self._interval
            due = self._next - now
        if due > 0:
            self._sleep(due)
