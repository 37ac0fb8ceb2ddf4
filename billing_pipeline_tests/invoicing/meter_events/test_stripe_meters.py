"""The adapter of meters speaks Stripe's protocol through the real SDK."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing_pipeline.errors import (
    MeterEventDuplicateError,
    MeterEventTooOldError,
    StripeRefusedError,
    StripeUnreachableError,
)
from billing_pipeline.invoicing.meter_events.port import MeterErrorReport, StripeMeter
from billing_pipeline.invoicing.meter_events.stripe_meters import StripeMeters
from billing_pipeline.invoicing.stripe.gateway import StripeGateway
from billing_pipeline_tests.invoicing.stripe.canned_stripe import (
    CannedStripe,
    canned_stripe,
    listed,
    refused,
)

EVENT = {
    "event_name": "calls",
    "identifier": "e-1",
    "payload": {"stripe_customer_id": "cus_1", "value": "-7"},
    "timestamp": 1_790_856_000,
}
EVENTS, ADJUSTMENTS = "POST /v1/billing/meter_events", "POST /v1/billing/meter_event_adjustments"


@pytest.fixture
def canned() -> Iterator[CannedStripe]:
    with canned_stripe() as stripe:
        yield stripe


@pytest.fixture
def meters(canned: CannedStripe) -> Iterator[StripeMeters]:
    gateway = StripeGateway("sk_test_meters", canned.address)
    yield StripeMeters(gateway)
    gateway.close()


def test_an_event_goes_out_as_planned(canned: CannedStripe, meters: StripeMeters) -> None:
    """Name, identifier, payload, timestamp, and the key by which error reports name the request."""
    canned.answers[EVENTS] = (200, {"object": "billing.meter_event", **EVENT})
    meters.send_event(EVENT, "key-1")
    ((_, parameters, headers),) = canned.requests
    assert parameters == {
        "event_name": "calls",
        "identifier": "e-1",
        "payload[stripe_customer_id]": "cus_1",
        "payload[value]": "-7",
        "timestamp": "1790856000",
    }
    assert headers["Idempotency-Key"] == "key-1"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refused("An event already exists with identifier e-1."), MeterEventDuplicateError),
        (refused("Again.", code="duplicate_meter_event"), MeterEventDuplicateError),
        (refused("The timestamp is too far in the past."), MeterEventTooOldError),
        (refused("Old.", code="timestamp_too_far_in_past"), MeterEventTooOldError),
        (refused("No active meter found for event name calls."), StripeRefusedError),
        ((429, {"error": {"message": "Too many requests"}}), StripeUnreachableError),
    ],
)
def test_refusals_are_told_apart(
    canned: CannedStripe, meters: StripeMeters, answer: tuple[int, dict[str, Any]], kind: type[Exception]
) -> None:
    """By code or by words: what is there already, what is too old, what a person has to mend, what to try again."""
    canned.answers[EVENTS] = answer
    with pytest.raises(kind) as caught:
        meters.send_event(EVENT, "key-1")
    assert type(caught.value) is kind


def test_an_event_is_cancelled_by_its_identifier(canned: CannedStripe, meters: StripeMeters) -> None:
    """As an adjustment of its own."""
    canned.answers[ADJUSTMENTS] = (200, {"object": "billing.meter_event_adjustment"})
    meters.cancel_event({"event_name": "calls", "type": "cancel", "cancel": {"identifier": "e-1"}}, "key-2")
    assert canned.requests[0][1] == {"event_name": "calls", "type": "cancel", "cancel[identifier]": "e-1"}


def test_meters_and_summaries_are_read(canned: CannedStripe, meters: StripeMeters) -> None:
    """By UTC day, exactly."""
    canned.answers["GET /v1/billing/meters"] = listed(
        {"id": "mtr_1", "event_name": "calls", "display_name": "Calls", "status": "active"},
        {"id": "mtr_2", "event_name": "old", "display_name": "Old", "status": "inactive"},
    )
    assert meters.meters() == [
        StripeMeter(meter_id="mtr_1", event_name="calls", display_name="Calls", is_active=True),
        StripeMeter(meter_id="mtr_2", event_name="old", display_name="Old", is_active=False),
    ]
    canned.answers["GET /v1/billing/meters/mtr_1/event_summaries"] = listed(
        {"id": "s1", "start_time": 1_790_812_800, "end_time": 1_790_899_200, "aggregated_value": 1234567.0}
    )
    found = meters.summaries("mtr_1", "cus_1", date(2026, 10, 1), date(2026, 11, 1))
    assert found == {date(2026, 10, 1): Decimal(1234567)}
    parameters = canned.requests[-1][1]
    assert (parameters["start_time"], parameters["end_time"]) == ("1790812800", "1793491200")
    assert (parameters["value_grouping_window"], parameters["customer"]) == ("day", "cus_1")


@pytest.mark.parametrize("in_list", [True, False])
def test_error_reports_are_read(canned: CannedStripe, meters: StripeMeters, *, in_list: bool) -> None:
    """Each sample of each kind, whether the list gives the event's data or only the event itself does."""
    sample = {"error_message": "no such customer", "request": {"identifier": "e-1"}}
    kinds = [
        {"code": "meter_event_customer_not_found", "error_count": 1, "sample_errors": [sample]},
        {
            "code": "no_meter",
            "error_count": 1,
            "sample_errors": [{**sample, "request": {"identifier": "e-2"}}],
        },
    ]
    event = {
        "id": "evt_1",
        "object": "v2.core.event",
        "type": "v1.billing.meter.error_report_triggered",
        "created": "2026-10-07T10:00:00Z",
        "livemode": False,
        "related_object": {"id": "mtr_1", "type": "billing.meter", "url": "/v1/billing/meters/mtr_1"},
    }
    whole = event | {"data": {"reason": {"error_count": 2, "error_types": kinds}}}
    canned.answers["GET /v2/core/events"] = (
        200,
        {"data": [whole if in_list else event], "next_page_url": None},
    )
    canned.answers["GET /v2/core/events/evt_1"] = (200, whole)
    first, second = meters.error_reports(1_790_000_000_000_000)
    assert first == MeterErrorReport(
        error_id="evt_1/1",
        meter_id="mtr_1",
        identifier="e-1",
        code="meter_event_customer_not_found",
        message="no such customer",
        reported_at=1_791_367_200_000_000,
    )
    assert (second.error_id, second.identifier, second.code) == ("evt_1/2", "e-2", "no_meter")
    assert len(canned.requests) == (1 if in_list else 2)
    assert "2026-09-21" in str(canned.requests[0][1])
