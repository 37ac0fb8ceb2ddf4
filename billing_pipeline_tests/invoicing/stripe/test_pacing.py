"""Requests go out at our own pace, however many threads want to send."""

from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import pytest

from billing_pipeline.invoicing.stripe.pacing import RateLimiter


class Seconds:
    """A clock that goes on only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []
        self._lock = Lock()

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.now += seconds


@pytest.mark.parametrize("per_second", [1, 20, 80])
def test_no_second_has_more_requests_than_the_limit_and_a_tenth(per_second: int) -> None:
    """Also the first one: what piled up while nothing was sent is a tenth of a second's worth at most."""
    seconds = Seconds()
    limiter = RateLimiter(per_second, lambda: seconds.now, seconds.sleep)
    sent = []
    for _ in range(per_second * 5):
        limiter.wait()
        sent.append(seconds.now)
    busiest = max(sum(start <= at < start + 1 - 1e-9 for at in sent) for start in sent)
    assert per_second <= busiest + 1
    assert busiest <= per_second * 1.1 + 1
    assert 4 <= sent[-1] - sent[0] <= 5


def test_threads_share_the_limit() -> None:
    """Eight threads get the places of one, one after the other."""
    seconds = Seconds()
    limiter = RateLimiter(10, lambda: 0.0, seconds.sleep)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: limiter.wait(), range(40)))
    places = sorted(seconds.slept)
    assert places == pytest.approx([(number + 1) / 10 for number in range(40)][-len(places) :])
    assert len(places) >= 39


def test_without_a_limit_nobody_waits() -> None:
    """The simulator has no other users."""
    seconds = Seconds()
    limiter = RateLimiter(0, lambda: seconds.now, seconds.sleep)
    for _ in range(1000):
        limiter.wait()
    assert seconds.slept == []
