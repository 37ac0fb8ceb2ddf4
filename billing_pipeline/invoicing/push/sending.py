"""Sending one request so that it is applied once: written down first, one key while it lives, then a look.

Stripe keeps the answer to a key for at least 24 hours, also where it is a failure. So a request without a
known outcome is sent again with the same key while that is younger; a request that failed, or is older, is
looked up by listing, and only where nothing is found does it take a new key (the next epoch).
"""

import json
from collections.abc import Callable
from typing import TypeVar

from billing_pipeline.errors import StripeRefusedError, StripeServerError
from billing_pipeline.invoicing.push.outbox import Outbox, SentRequest
from billing_pipeline.invoicing.push.plan import canonical_json
from billing_pipeline.invoicing.stripe.port import Parameters

KEY_LIFE_HOURS = 23
"""An hour less than what Stripe promises."""

_US_PER_HOUR = 3_600_000_000
_Answer = TypeVar("_Answer")


class Sender:
    """Sends through the outbox; `sent` counts the attempts.

    Args:
        outbox: where requests are written before they are sent.
        clock: UTC µs.
    """

    def __init__(self, outbox: Outbox, clock: Callable[[], int]) -> None:
        self._outbox = outbox
        self._clock = clock
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
            operation: `create_customer`, `create_invoice`, `add_lines`, `finalize_invoice`.
            subject: what it is about, with `operation` and `batch` the identity of the request.
            parameters: what is sent the first time; later what was written then.
            call: sends parameters under an idempotency key.
            look_up: what an earlier request has made in Stripe, or None where it made nothing.
            batch: which of several requests about the subject.

        Raises:
            StripeError: refused, failed or not reachable; a refusal or failure ends the key.
        """
        request = self._outbox.last_request(operation, subject, batch)
        if request is None:
            text = canonical_json(dict(parameters))
            request = self._outbox.write_request(operation, subject, batch, 0, text)
        elif request.failed or self._clock() - request.recorded_at >= KEY_LIFE_HOURS * _US_PER_HOUR:
            found = look_up(request)
            if found is not None:
                return found
            request = self._outbox.write_request(
                operation, subject, batch, request.epoch + 1, request.parameters
            )
        self.sent += 1
        try:
            return call(json.loads(request.parameters), request.key)
        except StripeRefusedError as error:
            self._outbox.write_failure(request, "refused", str(error))
            raise
        except StripeServerError as error:
            self._outbox.write_failure(request, "server_error", str(error))
            raise
