"""What is done after each way in which a request can go wrong. Pure; `sending` does it.

| what happened | class | what is done |
|---|---|---|
| 429 | `rate_limited` | the same key, after what Stripe asks for or the back-off |
| 409 | `conflict` | the same key: another request under it is under way |
| timeout, connection dropped | `no_answer` | the same key: it is applied once |
| 5xx | `server_error` | the same key: Stripe may answer it now, or replay |
| 5xx, replayed | `replayed` | the key is dead: look up, then the next epoch |
| other 4xx | `refused` | a person: the same request would be refused again |
"""

import random
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from billing_pipeline.errors import StripeError, StripeServerError, StripeUnreachableError

HTTP_CONFLICT, HTTP_TOO_MANY = 409, 429
ATTEMPTS_MOST = 6
"""Of one key in one run; after that the run leaves the invoice to the next one."""
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 20.0
RETRY_AFTER_MOST_SECONDS = 60.0


class RetryClass(StrEnum):
    """How a request went wrong."""

    RATE_LIMITED = "rate_limited"
    CONFLICT = "conflict"
    NO_ANSWER = "no_answer"
    SERVER_ERROR = "server_error"
    REPLAYED = "replayed"
    REFUSED = "refused"


class Step(NamedTuple):
    """What is done: the same key again (after a wait), another key after a look, or neither."""

    same_key: bool
    ends_key: bool


STEPS: dict[RetryClass, Step] = {
    RetryClass.RATE_LIMITED: Step(same_key=True, ends_key=False),
    RetryClass.CONFLICT: Step(same_key=True, ends_key=False),
    RetryClass.NO_ANSWER: Step(same_key=True, ends_key=False),
    RetryClass.SERVER_ERROR: Step(same_key=True, ends_key=False),
    RetryClass.REPLAYED: Step(same_key=False, ends_key=True),
    RetryClass.REFUSED: Step(same_key=False, ends_key=True),
}

ENDING = tuple(kind.value for kind, step in STEPS.items() if step.ends_key)
"""Failures after which a key can only repeat them. Others are kept to be read, and the key lives on."""


def retry_class(error: StripeError) -> RetryClass:
    """The class of an error of the gateway."""
    if isinstance(error, StripeServerError):
        return RetryClass.REPLAYED if error.replayed else RetryClass.SERVER_ERROR
    if isinstance(error, StripeUnreachableError):
        by_status = {HTTP_TOO_MANY: RetryClass.RATE_LIMITED, HTTP_CONFLICT: RetryClass.CONFLICT}
        return by_status.get(error.status or 0, RetryClass.NO_ANSWER)
    return RetryClass.REFUSED


def wait_seconds(error: StripeError, attempt: int, jitter: Callable[[], float] = random.random) -> float:
    """How long to wait after the attempt (1, 2, …) that failed so; `jitter` gives 0 to 1.

    What Stripe asks for counts, bounded; else twice as long each time, half of it by chance, so that processes that
    were sent away together do not come back together.
    """
    if error.retry_after_seconds is not None:
        return min(error.retry_after_seconds, RETRY_AFTER_MOST_SECONDS)
    longest = min(FIRST_WAIT_SECONDS * float(1 << (attempt - 1)), LONGEST_WAIT_SECONDS)
    return longest / 2 + longest / 2 * jitter()
