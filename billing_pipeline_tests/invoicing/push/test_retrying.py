"""Each way in which a request goes wrong has one class, and each class one thing that is done."""

import pytest

from billing_pipeline.errors import StripeError, StripeRefusedError, StripeServerError, StripeUnreachableError
from billing_pipeline.invoicing.push.retrying import ENDING, STEPS, RetryClass, retry_class, wait_seconds


@pytest.mark.parametrize(
    ("error", "kind", "same_key", "ends_key"),
    [
        (StripeUnreachableError("x", "slow down", 429), RetryClass.RATE_LIMITED, True, False),
        (StripeUnreachableError("x", "in use", 409), RetryClass.CONFLICT, True, False),
        (StripeUnreachableError("x", "timed out"), RetryClass.NO_ANSWER, True, False),
        (StripeServerError("x", "no", 500), RetryClass.SERVER_ERROR, True, False),
        (StripeServerError("x", "no", 500, replayed=True), RetryClass.REPLAYED, False, True),
        (StripeRefusedError("x", "no", 400), RetryClass.REFUSED, False, True),
        (StripeError("x", "whatever else"), RetryClass.REFUSED, False, True),
    ],
)
def test_every_failure_has_a_class(
    error: StripeError, kind: RetryClass, same_key: bool, ends_key: bool
) -> None:
    """What is sent again keeps its key; only a replayed failure and a refusal end it."""
    assert retry_class(error) is kind
    assert STEPS[kind] == (same_key, ends_key)
    assert (kind in ENDING) is ends_key


def test_the_table_is_complete() -> None:
    """A class without an entry would stop a push in the middle."""
    assert STEPS.keys() == set(RetryClass)


def test_waits_double_up_to_a_bound_and_half_of_each_is_chance() -> None:
    """From a quarter or half a second up to twenty; what chance adds never takes it beyond."""
    error = StripeUnreachableError("x", "no answer")
    least = [wait_seconds(error, attempt, lambda: 0.0) for attempt in range(1, 9)]
    most = [wait_seconds(error, attempt, lambda: 1.0) for attempt in range(1, 9)]
    assert least == [0.25, 0.5, 1, 2, 4, 8, 10, 10]
    assert most == [0.5, 1, 2, 4, 8, 16, 20, 20]


def test_stripe_is_waited_for_as_long_as_it_asks_within_bounds() -> None:
    """Retry-After counts, but nobody waits for an hour."""
    assert wait_seconds(StripeUnreachableError("x", "m", 429, retry_after_seconds=3), 1) == 3
    assert wait_seconds(StripeUnreachableError("x", "m", 429, retry_after_seconds=3600), 1) == 60
