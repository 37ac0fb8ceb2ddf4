"""What a meter has counted for a customer; events count a while after they were received."""

from typing import Any

from billing_pipeline.invoicing.simulator.api_error import ApiError
from billing_pipeline.invoicing.simulator.call import Call, endpoint
from billing_pipeline.invoicing.simulator.customers import find_customer
from billing_pipeline.invoicing.simulator.listing import page
from billing_pipeline.invoicing.simulator.meters import find_meter

_WINDOW_SECONDS = {"day": 86_400, "hour": 3_600}
_MINUTE = 60


def list_summaries(call: Call) -> dict[str, Any]:
    """Sums by UTC day or hour, or one for the whole time; newest first, windows without events left out.

    Raises:
        ApiError: no such meter or customer, or times that are not aligned.
    """
    parameters, meter = call.parameters, find_meter(call)
    customer = find_customer(call.transaction, parameters["customer"])
    start, end = parameters["start_time"], parameters["end_time"]
    window = _WINDOW_SECONDS.get(parameters.get("value_grouping_window", ""))
    for name in ("start_time", "end_time"):
        if parameters[name] % (window or _MINUTE):
            raise ApiError(f"{name} must be aligned with {window or _MINUTE} seconds.", param=name)
    if end <= start:
        raise ApiError("end_time must be after start_time.", param="end_time")
    by_window: dict[tuple[int, int], list[int]] = {}
    for timestamp, value in _counted(call, meter, customer["id"]):
        first = timestamp - timestamp % window if window else start
        by_window.setdefault((first, first + window if window else end), []).append(value)
    summaries = [
        {
            "id": f"mtrusg_{meter['id']}_{customer['id']}_{first}_{until}",
            "object": "billing.meter_event_summary",
            "aggregated_value": _aggregated(meter["default_aggregation"]["formula"], values),
            "end_time": until,
            "livemode": False,
            "meter": meter["id"],
            "start_time": first,
        }
        for (first, until), values in sorted(by_window.items(), reverse=True)
    ]
    return page(summaries, parameters, f"/v1/billing/meters/{meter['id']}/event_summaries")


def _counted(call: Call, meter: dict[str, Any], customer_id: str) -> list[tuple[int, int]]:
    """Times and values of what counts by now, in the order of receipt.

    With an `event_time_window`, the last event of a window takes the place of earlier ones.
    """
    rows = call.transaction.execute(
        "SELECT timestamp, value FROM meter_events WHERE meter = ? AND customer = ? "
        "AND timestamp >= ? AND timestamp < ? AND created <= ? AND fault IS NULL AND NOT cancelled "
        "ORDER BY sequence",
        (
            meter["id"],
            customer_id,
            call.parameters["start_time"],
            call.parameters["end_time"],
            call.now - call.meter_delay_seconds,
        ),
    )
    events = [(int(row["timestamp"]), int(row["value"])) for row in rows]
    if not meter["event_time_window"]:
        return events
    window = _WINDOW_SECONDS[meter["event_time_window"]]
    return list({timestamp // window: (timestamp, value) for timestamp, value in events}.values())


def _aggregated(formula: str, values: list[int]) -> int:
    match formula:
        case "count":
            return len(values)
        case "last":
            return values[-1]
        case _:
            return sum(values)


ENDPOINTS = (
    endpoint(
        "GET",
        "/v1/billing/meters/{id}/event_summaries",
        "billing.MeterEventSummaryListParams",
        "customer end_time ending_before limit start_time starting_after value_grouping_window",
        list_summaries,
    ),
)
