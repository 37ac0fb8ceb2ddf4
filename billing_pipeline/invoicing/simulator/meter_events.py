"""Meter events and their cancelling. Events are taken at once and judged later, as Stripe does it."""

import re
from typing import Any

from billing_pipeline.invoicing.simulator.api_error import ApiError
from billing_pipeline.invoicing.simulator.call import Call, endpoint
from billing_pipeline.invoicing.simulator.meters import meter_of
from billing_pipeline.invoicing.simulator.store import Transaction

MAX_AGE_SECONDS = 35 * 86_400
MAX_AHEAD_SECONDS = 300
IDENTIFIER_LIFE_SECONDS = 86_400
CANCEL_WITHIN_SECONDS = 86_400
MAX_IDENTIFIER_LENGTH = 100
_WHOLE = re.compile(r"^-?[0-9]+$")
_MAX_DIGITS = 15


def create_meter_event(call: Call) -> dict[str, Any]:
    """Take an event in. Whether it can be counted is found out afterwards, and reported.

    Raises:
        ApiError: its identifier was used within 24 hours, or its time is out of range.
    """
    parameters = call.parameters
    timestamp: int = parameters.get("timestamp", call.now)
    _check_time(timestamp, call.now)
    number = call.transaction.next_number("meter_event")
    identifier: str = parameters.get("identifier") or f"mtrev_sim{number:011d}"
    if len(identifier) > MAX_IDENTIFIER_LENGTH:
        raise ApiError(f"Identifiers have at most {MAX_IDENTIFIER_LENGTH} characters.", param="identifier")
    if _received(call.transaction, identifier, call.now - IDENTIFIER_LIFE_SECONDS):
        raise ApiError(
            f"An event already exists with identifier {identifier}.",
            code="duplicate_meter_event",
            param="identifier",
        )
    event_name, payload = parameters["event_name"], parameters["payload"]
    meter = meter_of(call.transaction, event_name)
    customer, value, fault = _judge(call.transaction, meter, payload)
    call.transaction.execute(
        "INSERT INTO meter_events (identifier, event_name, meter, customer, value, timestamp, created, fault) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (identifier, event_name, meter and meter["id"], customer, value, timestamp, call.now, fault),
    )
    return {
        "object": "billing.meter_event",
        "created": call.now,
        "event_name": event_name,
        "identifier": identifier,
        "livemode": False,
        "payload": payload,
        "timestamp": timestamp,
    }


def _check_time(timestamp: int, now: int) -> None:
    if timestamp > now + MAX_AHEAD_SECONDS:
        raise ApiError(
            "The timestamp must be no more than 5 minutes in the future.",
            code="timestamp_in_future",
            param="timestamp",
        )
    if timestamp < now - MAX_AGE_SECONDS:
        raise ApiError(
            "The timestamp is too far in the past: it must be within the past 35 days.",
            code="timestamp_too_far_in_past",
            param="timestamp",
        )


def _judge(  # noqa: PLR0911 - one per reason
    transaction: Transaction, meter: dict[str, Any] | None, payload: dict[str, str]
) -> tuple[str | None, int, str | None]:
    """Customer and value of an event, and why it will not be counted."""
    if meter is None:
        return None, 0, "no_meter"
    if meter["status"] != "active":
        return None, 0, "archived_meter"
    customer = payload.get(meter["customer_mapping"]["event_payload_key"])
    if not customer:
        return None, 0, "meter_event_no_customer_defined"
    known = transaction.get("customer", customer)
    if known is None or known.get("deleted"):
        return None, 0, "meter_event_customer_not_found"
    if meter["default_aggregation"]["formula"] == "count":
        return customer, 1, None
    text = payload.get(meter["value_settings"]["event_payload_key"], "")
    if not _WHOLE.match(text):
        return customer, 0, "meter_event_invalid_value"
    if len(text.lstrip("-")) > _MAX_DIGITS:
        return customer, 0, "meter_event_value_too_many_digits"
    return customer, int(text), None


def _received(transaction: Transaction, identifier: str, after: int) -> list[dict[str, Any]]:
    return transaction.execute(
        "SELECT sequence, event_name FROM meter_events WHERE identifier = ? AND created > ?",
        (identifier, after),
    )


def create_adjustment(call: Call) -> dict[str, Any]:
    """Cancel an event within 24 hours of its receipt.

    Raises:
        ApiError: no such event was received within that time.
    """
    parameters = call.parameters
    identifier = (parameters.get("cancel") or {}).get("identifier")
    if identifier is None:
        raise ApiError("Missing required param: cancel[identifier].", param="cancel[identifier]")
    events = _received(call.transaction, identifier, call.now - CANCEL_WITHIN_SECONDS)
    if not any(event["event_name"] == parameters["event_name"] for event in events):
        raise ApiError(
            f"No event with identifier {identifier} was received within the last 24 hours.",
            param="cancel[identifier]",
        )
    for event in events:
        call.transaction.execute(
            "UPDATE meter_events SET cancelled = 1 WHERE sequence = ?", (event["sequence"],)
        )
    return {
        "object": "billing.meter_event_adjustment",
        "cancel": {"identifier": identifier},
        "event_name": parameters["event_name"],
        "livemode": False,
        "status": "complete",
        "type": "cancel",
    }


def _customer_and_meter(parameters: dict[str, Any]) -> str:
    return f"{parameters['event_name']}/{parameters['payload'].get('stripe_customer_id')}"


ENDPOINTS = (
    endpoint(
        "POST",
        "/v1/billing/meter_events",
        "billing.MeterEventCreateParams",
        "event_name identifier payload timestamp",
        create_meter_event,
        exclusive=_customer_and_meter,
    ),
    endpoint(
        "POST",
        "/v1/billing/meter_event_adjustments",
        "billing.MeterEventAdjustmentCreateParams",
        "cancel event_name type",
        create_adjustment,
    ),
)
