"""Sending one request so that it is applied once: written down first, one key while it lives, then a look.

Stripe keeps the answer to a key for at least 24 hours, also where it is a failure. So a request without a
known outcome is sent again with the same key while that is younger; a request whose key replays a failure, or is
older, is looked up by listing, and only where nothing is found does it take a new key (the next epoch).
"""

import json
import time
from collections.abc import Callable
from typing import TypeVar

from billing_pipeline.errors import StripeError
from billing_pipeline.invoicing.push.outbox import Outbox, SentRequest
from billing_pipeline.invoicing.push.plan import canonical_json
from billing_pipeline.invoicing.push.retrying import (
    ATTEMPTS_MOST,
    STEPS,
    RetryClass,
    retry_class,
    wait_seconds,
)
from billing_pipeline.invoicing.stripe.port import Parameters

KEY_LIFE_HOURS = 23
"""An hour less than what Stripe promises."""
EPOCHS_MOST = 3
"""Keys that one run may use up for one request; the next run goes on from there."""

_US_PER_HOUR = 3_600_000_000
_Answer = TypeVar("_Answer")


class Sender:
    """Sends through the outbox; `sent` counts the attempts.

    Args:
        outbox: where requests are written before they are sent.
        clock: UTC µs.
        sleep: waits so many seconds.
    """

    def __init__(
        self, outbox: Outbox, clock: Callable[[], int], sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._sleep = sleep
        self.sent = 0

    def send(
        self,
        operation: str,
        subject: str,
        parameters: Parameters,
        call: Callable[[Parameters, str], _Answer],
        look_up: Callable[[SentRequest], _Answer | None],
        *,
        batch: int = 0,
    ) -> _Answer:
        """The answer to the request, sent now, sent again, or found in Stripe.

        Args:
            operation: `create_customer`, `create_invoice`, `add_lines`, `finalize_invoice`, …
            subject: what it is about, with `operation` and `batch` the identity of the request.
            parameters: what is sent the first time; later what was written then.
            call: sends parameters under an idempotency key.
            look_up: what an earlier request has made in Stripe, or None where it made nothing.
            batch: which of several requests about the subject.

        Raises:
            StripeError: refused, failed or not reachable.
        """
        request = self._outbox.last_request(operation, subject, batch)
        if request is None:
            text = canonical_json(dict(parameters))
            request = self._outbox.write_request(operation, subject, batch, 0, text)
        for left in reversed(range(EPOCHS_MOST)):
            if request.failed or self._clock() - request.recorded_at >= KEY_LIFE_HOURS * _US_PER_HOUR:
                found = self.read(lambda request=request: look_up(request))  # type: ignore[misc]  # bound at once
                if found is not None:
                    return found
                request = self._outbox.write_request(
                    operation, subject, batch, request.epoch + 1, request.parameters
                )
            try:
                return self._attempt(request, call)
            except StripeError as error:
                kind = retry_class(error)
                self._outbox.write_failure(request, kind, str(error))
                if kind is not RetryClass.REPLAYED or not left:
                    raise
                request = self._outbox.last_request(operation, subject, batch) or request
        raise AssertionError("the last epoch returns or raises")

    def read(self, call: Callable[[], _Answer]) -> _Answer:
        """The answer to a request that changes nothing, or may be made twice; tried again as the classes say.

        Raises:
            StripeError: refused, or not answered after all attempts.
        """
        return self._until_answered(call)

    def _attempt(self, request: SentRequest, call: Callable[[Parameters, str], _Answer]) -> _Answer:
        def once() -> _Answer:
            self.sent += 1
            return call(json.loads(request.parameters), request.key)

        return self._until_answered(once)

    def _until_answered(self, call: Callable[[], _Answer]) -> _Answer:
        for attempt in range(1, ATTEMPTS_MOST):
            try:
                return call()
            except StripeError as error:
                if not STEPS[retry_class(error)].same_key:
                    raise
                self._sleep(wait_seconds(error, attempt))
        return call()
