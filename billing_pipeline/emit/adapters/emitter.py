"""What the exporter and the callback need of a client, and how they tell what went wrong."""

import logging
from collections.abc import Callable
from typing import Protocol

from billing_pipeline.contract.events import UsageEvent

OnError = Callable[[Exception], None]
"""Told of usage that could not be billed or sent. It must not raise: it runs within the product's own calls."""


class Emitter(Protocol):
    """A client that takes events over; it may be called from several threads."""

    def emit(self, event: UsageEvent) -> object:
        """Take an event over."""


def log_error(error: Exception) -> None:
    """Says it in the log, as an error: usage that is not billed is money."""
    logging.getLogger(__name__).error("usage was not sent for billing: %s", error)
