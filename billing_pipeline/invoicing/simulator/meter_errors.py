"""Reports of meter events that were taken and could not be counted: events of Stripe's second API."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from billing_pipeline.invoicing.simulator.api_error import ApiError, no_such
from billing_pipeline.invoicing.simulator.call import Call, endpoint

KIND = "v2.core.event"
LISTED_SECONDS = 30 * 86_400
MAX_SAMPLES = 100
MAX_LIMIT = 100
DEFAULT_LIMIT = 20
_MESSAGES = {
    "archived_meter": "The meter is archived.",
    "meter_event_customer_not_found": "No customer has the id in the event payload.",
    "meter_event_invalid_value": "The value in the event payload is not a whole number.",
    "meter_event_no_customer_defined": "Customer mapping key is not provided in the event payload.",
    "meter_event_value_too_many_digits": "The value in the event payload has too many digits.",
    "no_meter": "No meter has the event name.",
}


def list_events(call: Call) -> dict[str, Any]:
    """The reports of the last 30 days, newest first.

    Raises:
        ApiError: a time or a limit that is none.
    """
    _report(call)
    parameters = call.parameters
    limit, offset = parameters.get("limit", DEFAULT_LIMIT), _number(parameters.get("page", "0"), "page")
    if not 1 <= limit <= MAX_LIMIT:
        raise ApiError(f"Invalid limit: must be between 1 and {MAX_LIMIT}", param="limit")
    bounds = {name: _second(text) for name, text in parameters.get("created", {}).items()}
    events = [
        event
        for event in call.transaction.scan(KIND, newest_first=True)
        if _is_asked_for(event, call, bounds)
    ]
    more = len(events) > offset + limit
    return {
        "data": events[offset : offset + limit],
        "next_page_url": _next_page_url(parameters, offset + limit) if more else None,
        "previous_page_url": None,
    }


def retrieve_event(call: Call) -> dict[str, Any]:
    """One report.

    Raises:
        ApiError: there is none of this id.
    """
    _report(call)
    event = call.transaction.get(KIND, call.object_id)
    if event is None:
        raise no_such("event", call.object_id, "id")
    return event


def _is_asked_for(event: dict[str, Any], call: Call, bounds: dict[str, float]) -> bool:
    parameters, created = call.parameters, _second(event["created"])
    related = event.get("related_object", {}).get("id")
    return (
        created >= call.now - LISTED_SECONDS
        and ("types" not in parameters or event["type"] in parameters["types"])
        and parameters.get("object_id") in {None, related}
        and created > bounds.get("gt", -1)
        and created >= bounds.get("gte", 0)
        and created < bounds.get("lt", created + 1)
        and created <= bounds.get("lte", created)
    )


def _report(call: Call) -> None:
    """Make a report per meter of what has been found out since the last one."""
    until = call.now - call.meter_delay_seconds
    faulty = call.transaction.execute(
        "SELECT sequence, identifier, meter, created, fault FROM meter_events "
        "WHERE fault IS NOT NULL AND NOT reported AND created <= ? ORDER BY sequence",
        (until,),
    )
    by_meter: dict[str | None, list[dict[str, Any]]] = {}
    for event in faulty:
        by_meter.setdefault(event["meter"], []).append(event)
    for meter_id, events in by_meter.items():
        call.transaction.insert(KIND, "evt", _body(meter_id, events, call.now))
    for event in faulty:
        call.transaction.execute(
            "UPDATE meter_events SET reported = 1 WHERE sequence = ?", (event["sequence"],)
        )


def _body(meter_id: str | None, events: list[dict[str, Any]], now: int) -> dict[str, Any]:
    seconds = [event["created"] for event in events]
    codes = sorted({event["fault"] for event in events})
    body = {
        "context": None,
        "created": _text(now),
        "data": {
            "developer_message_summary": f"There is {len(events)} invalid event"
            if len(events) == 1
            else f"There are {len(events)} invalid events",
            "reason": {
                "error_count": len(events),
                "error_types": [_error_type(code, events) for code in codes],
            },
            "validation_start": _text(min(seconds)),
            "validation_end": _text(max(seconds) + 1),
        },
        "livemode": False,
        "reason": None,
    }
    if meter_id is None:
        return {**body, "type": "v1.billing.meter.no_meter_found"}
    related = {"id": meter_id, "type": "billing.meter", "url": f"/v1/billing/meters/{meter_id}"}
    return {**body, "type": "v1.billing.meter.error_report_triggered", "related_object": related}


def _error_type(code: str, events: list[dict[str, Any]]) -> dict[str, Any]:
    of_code = [event for event in events if event["fault"] == code]
    return {
        "code": code,
        "error_count": len(of_code),
        "sample_errors": [
            {"error_message": _MESSAGES[code], "request": {"identifier": event["identifier"]}}
            for event in of_code[:MAX_SAMPLES]
        ],
    }


def _text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _second(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise ApiError(f"Invalid timestamp: {text}", param="created", keep=False) from error


def _number(text: str, param: str) -> int:
    if not text.isdecimal():
        raise ApiError(f"Invalid {param}: {text}", param=param, keep=False)
    return int(text)


def _next_page_url(parameters: dict[str, Any], offset: int) -> str:
    pairs = [("page", str(offset)), ("limit", str(parameters.get("limit", DEFAULT_LIMIT)))]
    pairs += [(f"types[{index}]", name) for index, name in enumerate(parameters.get("types", []))]
    pairs += [(f"created[{name}]", text) for name, text in parameters.get("created", {}).items()]
    pairs += [("object_id", parameters["object_id"])] if "object_id" in parameters else []
    return "/v2/core/events?" + urlencode(pairs)


ENDPOINTS = (
    endpoint(
        "GET",
        "/v2/core/events",
        "simulator.EventListParams",
        "created limit object_id page types",
        list_events,
    ),
    endpoint("GET", "/v2/core/events/{id}", "v2.core.EventRetrieveParams", "", retrieve_event),
)
