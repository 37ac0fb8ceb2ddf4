"""Stripe's meters through its own SDK, version 16: events, adjustments, summaries (v1) and error reports (v2)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import stripe

from billing_pipeline.contract.instants import datetime_of, instant_text, instant_us
from billing_pipeline.errors import MeterEventDuplicateError, MeterEventTooOldError
from billing_pipeline.invoicing.meter_events.port import MeterErrorReport, StripeMeter
from billing_pipeline.invoicing.stripe.gateway import StripeGateway, errors_of
from billing_pipeline.invoicing.stripe.port import Parameters
from billing_pipeline.rating.agreement import midnight

if TYPE_CHECKING:
    from stripe.params import billing as sdk

REPORTS = ("v1.billing.meter.error_report_triggered", "v1.billing.meter.no_meter_found")
_PAGE_SIZE = 100
_HTTP_BAD_REQUEST = 400
_OPERATION = "send meter event"


class StripeMeters:
    """The adapter of `MeterPort`, over the connection of a gateway. Threads may share it."""

    def __init__(self, gateway: StripeGateway) -> None:
        self._gateway = gateway
        self._client = gateway.client

    def account(self) -> str:
        """The account and mode that the key belongs to."""
        return self._gateway.account()

    def send_event(self, parameters: Parameters, idempotency_key: str) -> None:
        """Send one meter event."""
        with errors_of(_OPERATION), _told_apart():
            self._client.v1.billing.meter_events.create(
                cast("sdk.MeterEventCreateParams", dict(parameters)), {"idempotency_key": idempotency_key}
            )

    def cancel_event(self, parameters: Parameters, idempotency_key: str) -> None:
        """Cancel one meter event."""
        with errors_of("cancel meter event"):
            self._client.v1.billing.meter_event_adjustments.create(
                cast("sdk.MeterEventAdjustmentCreateParams", dict(parameters)),
                {"idempotency_key": idempotency_key},
            )

    def meters(self) -> list[StripeMeter]:
        """All meters, active or not."""
        with errors_of("list meters"):
            found = self._client.v1.billing.meters.list({"limit": _PAGE_SIZE})
            return [
                StripeMeter(
                    meter_id=meter.id,
                    event_name=meter.event_name,
                    display_name=meter.display_name,
                    is_active=meter.status == "active",
                )
                for meter in found.auto_paging_iter()
            ]

    def summaries(
        self, meter_id: str, stripe_customer_id: str, first: date, until: date
    ) -> dict[date, Decimal]:
        """What Stripe has counted by UTC day."""
        with errors_of("list meter event summaries"):
            found = self._client.v1.billing.meters.event_summaries.list(
                meter_id,
                {
                    "customer": stripe_customer_id,
                    "start_time": int(midnight(first).timestamp()),
                    "end_time": int(midnight(until).timestamp()),
                    "value_grouping_window": "day",
                    "limit": _PAGE_SIZE,
                },
            )
            return {
                datetime_of(summary.start_time * 1_000_000).date(): Decimal(str(summary.aggregated_value))
                for summary in found.auto_paging_iter()
            }

    def error_reports(self, since_us: int) -> list[MeterErrorReport]:
        """Every sample error of the reports since an instant."""
        with errors_of("list meter errors"):
            found = self._client.v2.core.events.list(
                {"types": list(REPORTS), "created": {"gte": instant_text(since_us)}, "limit": _PAGE_SIZE}
            )
            return [report for event in found.auto_paging_iter() for report in self._reports(event)]

    def _reports(self, listed: "stripe.v2.core.Event") -> Iterator[MeterErrorReport]:
        event: Any = listed
        if getattr(event, "data", None) is None:
            event = self._client.v2.core.events.retrieve(
                event.id
            )  # a list may name events without their data
        related = getattr(event, "related_object", None)
        created = instant_us(str(event.created)) or 0
        number = 0
        for kind in event.data.reason.error_types:
            for sample in kind.sample_errors:
                number += 1
                request = getattr(sample, "request", None)
                yield MeterErrorReport(
                    error_id=f"{event.id}/{number}",
                    meter_id=related.id if related is not None else "",
                    identifier=getattr(request, "identifier", None),
                    code=str(kind.code),
                    message=str(sample.error_message),
                    reported_at=created,
                )


@contextmanager
def _told_apart() -> Iterator[None]:
    """Two refusals are no faults of ours. Stripe gives a code for them, or just words."""
    try:
        yield
    except stripe.InvalidRequestError as error:
        message, code = error.user_message or str(error), error.code or ""
        if error.http_status == _HTTP_BAD_REQUEST:
            words = message.lower()
            if code == "duplicate_meter_event" or "already exists with identifier" in words:
                raise MeterEventDuplicateError(_OPERATION, message, _HTTP_BAD_REQUEST) from error
            if code == "timestamp_too_far_in_past" or (not code and "timestamp" in words and "past" in words):
                raise MeterEventTooOldError(_OPERATION, message, _HTTP_BAD_REQUEST) from error
        raise
