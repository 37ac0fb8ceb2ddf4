"""What the guard's routes have in common: whether it is served, whom a key is for, its rate, and what is told."""

import time
from typing import TypeVar

from billing_pipeline.access.api_key import ApiKey
from billing_pipeline.errors import GuardUnavailableError, RequestRefusedError
from billing_pipeline.gateway.answer import Answer
from billing_pipeline.gateway.gateway import Gateway
from billing_pipeline.gateway.request import Request
from billing_pipeline.gateway.request_code import RequestCode

Part = TypeVar("Part")


def served(part: Part | None) -> Part:
    """The ledger, or the reader of balances.

    Raises:
        GuardUnavailableError: this gateway has none.
    """
    if part is None:
        raise GuardUnavailableError(
            "the guard is not served here; ask a gateway that `billing serve` has started"
        )
    return part


def check_customer(key: ApiKey, customer_id: str) -> None:
    """Refuse a customer whom the key is not for.

    Raises:
        RequestRefusedError: it is not.
    """
    if not key.scope.covers(customer_id):
        raise RequestRefusedError(
            403,
            RequestCode.FORBIDDEN,
            "the API key is limited to other customers",
            field="customer_id",
            value=customer_id[:200],
        )


def limit_rate(gateway: Gateway, key: ApiKey) -> None:
    """Count a request as one event of the key's rate.

    Raises:
        RequestRefusedError: the rate is used up.
    """
    if key.events_per_second is None:
        return
    wait_seconds = gateway.limiter.take(key.key_id, key.events_per_second, 1, time.monotonic())
    if wait_seconds:
        gateway.metrics.rate_limited.labels(key.key_id).inc()
        raise RequestRefusedError(
            429,
            RequestCode.RATE_LIMITED,
            f"the API key may ask {key.events_per_second} times a second",
            limit=key.events_per_second,
            retry_after_seconds=wait_seconds,
        )


def tell(
    gateway: Gateway, path: str, request: Request, answer: Answer, *, key_id: str | None, seconds: float
) -> None:
    """Count an answer of the guard, and write its line of the log."""
    gateway.metrics.guard_requests.labels(path, str(answer.status)).inc()
    gateway.log.info(
        "guard",
        correlation_id=request.correlation_id.decode("ascii"),
        path=path,
        key_id=key_id,
        status=answer.status,
        code=answer.code,
        milliseconds=round(seconds * 1000, 3),
    )
