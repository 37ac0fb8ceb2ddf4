"""What meter events need of Stripe. `stripe_meters.StripeMeters` is the one adapter; tests fake it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Protocol

from billing_pipeline.invoicing.stripe.port import Parameters


@dataclass(frozen=True, kw_only=True)
class StripeMeter:
    """A billing meter in Stripe. Of those of one event name at most one is active."""

    meter_id: str
    event_name: str
    display_name: str
    is_active: bool


@dataclass(frozen=True, kw_only=True)
class MeterErrorReport:
    """One error that Stripe reports of an event that it had taken; `reported_at` is UTC µs.

    Attributes:
        error_id: the report and the place in it.
        meter_id: "" where no meter was found.
        identifier: of the request, where Stripe names it.
    """

    error_id: str
    meter_id: str
    identifier: str | None
    code: str
    message: str
    reported_at: int


class MeterPort(Protocol):
    """Every call raises a subclass of `StripeError` when Stripe does not do it."""

    def account(self) -> str:
        """The account and mode that the key belongs to, like `acct_123/test`."""

    def send_event(self, parameters: Parameters, idempotency_key: str) -> None:
        """Send one meter event.

        Raises:
            MeterEventDuplicateError: Stripe has an event of this identifier.
            MeterEventTooOldError: its timestamp lies too far in the past.
        """

    def cancel_event(self, parameters: Parameters, idempotency_key: str) -> None:
        """Cancel one meter event."""

    def meters(self) -> list[StripeMeter]:
        """All meters, active or not."""

    def summaries(
        self, meter_id: str, stripe_customer_id: str, first: date, until: date
    ) -> dict[date, Decimal]:
        """What Stripe has counted by day, from a day up to, and without, another one; days of nothing are left out."""

    def error_reports(self, since_us: int) -> Sequence[MeterErrorReport]:
        """What Stripe reports of events that it had taken and could not count, from an instant on (30 days at most)."""
