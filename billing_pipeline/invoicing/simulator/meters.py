"""Billing meters: what events of a name are counted into."""

from typing import Any

from billing_pipeline.invoicing.simulator.api_error import ApiError, no_such
from billing_pipeline.invoicing.simulator.call import Call, endpoint
from billing_pipeline.invoicing.simulator.listing import page
from billing_pipeline.invoicing.simulator.store import Transaction

KIND = "billing.meter"


def create_meter(call: Call) -> dict[str, Any]:
    """A new meter.

    Raises:
        ApiError: an active one has the event name already.
    """
    parameters = call.parameters
    _refuse_second(call.transaction, parameters["event_name"])
    return call.transaction.insert(
        KIND,
        "mtr",
        {
            "created": call.now,
            "customer_mapping": parameters.get(
                "customer_mapping", {"event_payload_key": "stripe_customer_id", "type": "by_id"}
            ),
            "default_aggregation": parameters["default_aggregation"],
            "display_name": parameters["display_name"],
            "event_name": parameters["event_name"],
            "event_time_window": parameters.get("event_time_window"),
            "livemode": False,
            "status": "active",
            "status_transitions": {"deactivated_at": None},
            "updated": call.now,
            "value_settings": parameters.get("value_settings", {"event_payload_key": "value"}),
        },
    )


def find_meter(call: Call) -> dict[str, Any]:
    """The meter that the path names.

    Raises:
        ApiError: there is none of this id.
    """
    meter = call.transaction.get(KIND, call.object_id)
    if meter is None:
        raise no_such("billing meter", call.object_id, "id")
    return meter


def meter_of(transaction: Transaction, event_name: str) -> dict[str, Any] | None:
    """The active meter of an event name, or else the newest one; None where there never was one."""
    meters = [
        meter for meter in transaction.scan(KIND, newest_first=True) if meter["event_name"] == event_name
    ]
    return next((meter for meter in meters if meter["status"] == "active"), meters[0] if meters else None)


def update_meter(call: Call) -> dict[str, Any]:
    """Change the name that people see; nothing else of a meter can be changed."""
    meter = find_meter(call)
    meter.update(display_name=call.parameters.get("display_name", meter["display_name"]), updated=call.now)
    call.transaction.put(meter)
    return meter


def deactivate_meter(call: Call) -> dict[str, Any]:
    """Take no more events: what comes is reported as an error."""
    return _move(call, "inactive", call.now)


def reactivate_meter(call: Call) -> dict[str, Any]:
    """Take events again."""
    meter = find_meter(call)
    if meter["status"] == "inactive":
        _refuse_second(call.transaction, meter["event_name"])
    return _move(call, "active", None)


def list_meters(call: Call) -> dict[str, Any]:
    """Meters, newest first."""
    status = call.parameters.get("status")
    meters = (
        meter for meter in call.transaction.scan(KIND, newest_first=True) if status in {None, meter["status"]}
    )
    return page(meters, call.parameters, "/v1/billing/meters")


def _refuse_second(transaction: Transaction, event_name: str) -> None:
    meter = meter_of(transaction, event_name)
    if meter is not None and meter["status"] == "active":
        raise ApiError(f"An active meter has the event name {event_name} already.", param="event_name")


def _move(call: Call, status: str, deactivated_at: int | None) -> dict[str, Any]:
    meter = find_meter(call)
    if meter["status"] == status:
        raise ApiError(f"The meter is {status} already.", param="id")
    meter.update(status=status, status_transitions={"deactivated_at": deactivated_at}, updated=call.now)
    call.transaction.put(meter)
    return meter


ENDPOINTS = (
    endpoint(
        "POST",
        "/v1/billing/meters",
        "billing.MeterCreateParams",
        "customer_mapping default_aggregation display_name event_name event_time_window value_settings",
        create_meter,
    ),
    endpoint(
        "GET",
        "/v1/billing/meters",
        "billing.MeterListParams",
        "ending_before limit starting_after status",
        list_meters,
    ),
    endpoint("GET", "/v1/billing/meters/{id}", "billing.MeterRetrieveParams", "", find_meter),
    endpoint("POST", "/v1/billing/meters/{id}", "billing.MeterUpdateParams", "display_name", update_meter),
    endpoint(
        "POST", "/v1/billing/meters/{id}/deactivate", "billing.MeterDeactivateParams", "", deactivate_meter
    ),
    endpoint(
        "POST", "/v1/billing/meters/{id}/reactivate", "billing.MeterReactivateParams", "", reactivate_meter
    ),
)
