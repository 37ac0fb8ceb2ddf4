"""How many events a second a key may send."""

from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.gateway.rate_limit import RateLimiter


def test_a_bucket_holds_a_seconds_worth() -> None:
    limiter = RateLimiter()
    assert limiter.take("a", 10, 10, 0.0) == 0
    assert limiter.take("a", 10, 1, 0.0) == 1
    assert limiter.take("a", 10, 1, 0.1) == 0
    assert limiter.take("b", 10, 10, 0.0) == 0


def test_a_large_batch_passes_and_what_it_overdraws_is_waited_for() -> None:
    limiter = RateLimiter()
    assert limiter.take("a", 10, 100, 0.0) == 0
    assert limiter.take("a", 10, 1, 0.0) == 10
    assert limiter.take("a", 10, 1, 8.5) == 1
    assert limiter.take("a", 10, 1, 9.5) == 0


def test_an_idle_key_saves_up_no_more_than_a_second() -> None:
    limiter = RateLimiter()
    assert limiter.take("a", 10, 1, 0.0) == 0
    assert limiter.take("a", 10, 20, 1000.0) == 0
    assert limiter.take("a", 10, 1, 1000.5) == 1


@given(st.integers(1, 50), st.lists(st.tuples(st.floats(0, 2), st.integers(1, 100)), max_size=40))
def test_no_more_pass_than_the_rate_and_one_bucket_and_batch(
    rate: int, requests: list[tuple[float, int]]
) -> None:
    """And whoever waits as told is let in."""
    limiter = RateLimiter()
    now, passed, largest = 0.0, 0, 0
    for pause_seconds, events in requests:
        now += pause_seconds
        largest = max(largest, events)
        wait_seconds = limiter.take("a", rate, events, now)
        if wait_seconds:
            now += wait_seconds
            assert limiter.take("a", rate, events, now) == 0
        passed += events
        assert passed <= rate * (now + 1) + largest + 1e-6


def test_buckets_of_keys_that_are_gone_are_forgotten() -> None:
    limiter = RateLimiter()
    assert limiter.take("a", 10, 10, 0.0) == 0
    limiter.keep_only(set())
    assert limiter.take("a", 10, 10, 0.0) == 0
