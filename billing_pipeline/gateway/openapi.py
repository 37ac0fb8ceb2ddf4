"""The gateway's interface as OpenAPI 3.1, with the event contract's own schema."""

from functools import cache
from importlib.metadata import version
from typing import Any

from billing_pipeline.contract.json_schema import event_schema
from billing_pipeline.contract.reason_codes import RejectionCode
from billing_pipeline.gateway.limits import EVENTS
from billing_pipeline.gateway.openapi_guard import guard_paths
from billing_pipeline.gateway.openapi_review import review_paths
from billing_pipeline.gateway.request_code import RequestCode

Json = dict[str, Any]

_JSON = "application/json"
_REFUSALS = {
    400: "The body cannot be decompressed or split into events; or a parameter is unknown.",
    401: "There is no API key, or it is unknown, expired or revoked.",
    403: "The API key lacks the right.",
    408: "The body came too slowly.",
    413: "The body, or the number of its events, is too large.",
    415: "The content type or encoding is not known.",
    429: "The API key's rate is used up.",
    503: "The queue is full or has failed, the clock cannot be trusted, or the gateway is being stopped.",
}
_RETRIED = frozenset({429, 503})


@cache
def openapi_document() -> Json:
    """The document; the same object each time."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "billing_pipeline gateway",
            "version": version("billing-pipeline"),
            "description": "Takes usage events, and holds what actions may cost; answers once it is durable.",
        },
        "paths": {
            "/v1/events": {"post": _post_events()},
            "/healthz": {
                "get": _get("is_alive", "The process is alive.", {_JSON: {"schema": _flags("alive")}})
            },
            "/readyz": {"get": _readiness()},
            "/metrics": {
                "get": _get(
                    "metrics", "Metrics for Prometheus.", {"text/plain": {"schema": {"type": "string"}}}
                )
            },
            "/openapi.json": {
                "get": _get("openapi", "This document.", {_JSON: {"schema": {"type": "object"}}})
            },
            **guard_paths(),
            **review_paths(),
        },
        "components": {
            "schemas": _event_schemas()
            | {"Settled": _settled(), "Refused": _refused(), "CloudEvent": _cloudevent()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _post_events() -> Json:
    event, cloudevent = _ref("Event"), _ref("CloudEvent")
    many = {"type": "array", "minItems": 1, "maxItems": EVENTS}
    lines = {"schema": {"type": "string", "minLength": 1}}
    responses = {
        "202": _response("All events are durable.", "Settled", correlated=True),
        "207": _response("Some events are refused, the others durable.", "Settled", correlated=True),
        "422": _response("All events are refused; or, where atomic, some.", "Settled", correlated=True),
    }
    for status, meaning in _REFUSALS.items():
        responses[str(status)] = _response(meaning, "Refused", correlated=True, retried=status in _RETRIED)
    return {
        "operationId": "send_events",
        "summary": "Send usage events and corrections.",
        "security": [{"bearer": []}, {"header": []}],
        "parameters": [
            {
                "name": "atomic",
                "in": "query",
                "description": "Take all events, or none.",
                "schema": {"type": "boolean", "default": False},
            },
            {
                "name": "X-Correlation-Id",
                "in": "header",
                "description": "Told in the log, and answered.",
                "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
            },
        ],
        "requestBody": {
            "required": True,
            "content": {
                _JSON: {"schema": {"anyOf": [event, many | {"items": {"anyOf": [event, cloudevent]}}]}},
                "application/x-ndjson": lines,
                "application/jsonl": lines,
                "application/cloudevents+json": {"schema": cloudevent},
                "application/cloudevents-batch+json": {"schema": many | {"items": cloudevent}},
            },
        },
        "responses": responses,
    }


def _get(operation: str, meaning: str, content: Json) -> Json:
    return {
        "operationId": operation,
        "summary": meaning,
        "responses": {"200": {"description": meaning, "content": content}},
    }


def _readiness() -> Json:
    content = {_JSON: {"schema": _flags("ready") | {"required": ["ready", "reason"]}}}
    found = _get("is_ready", "Whether events are taken.", content)
    found["responses"]["503"] = {"description": "None are taken now.", "content": content}
    return found


def _flags(name: str) -> Json:
    reason = {"type": ["string", "null"], "enum": ["queue_failed", "shutting_down", None]}
    return {"type": "object", "properties": {name: {"type": "boolean"}, "reason": reason}, "required": [name]}


def _response(meaning: str, schema: str, *, correlated: bool, retried: bool = False) -> Json:
    text = {"schema": {"type": "string"}}
    headers: Json = {"X-Correlation-Id": text | {"required": True}} if correlated else {}
    if retried:
        headers["Retry-After"] = {"schema": {"type": "integer", "minimum": 1}, "required": True}
    return {"description": meaning, "headers": headers, "content": {_JSON: {"schema": _ref(schema)}}}


def _settled() -> Json:
    count = {"type": "integer", "minimum": 0, "maximum": EVENTS}
    text = {"type": ["string", "null"]}
    fault = {
        "index": count,
        "code": {"enum": [code.value for code in RejectionCode]},
        "field": text,
        "value": text,
        "message": {"type": "string"},
    }
    errors = {"type": "array", "items": {"type": "object", "properties": fault, "required": [*fault]}}
    properties = {"accepted": count, "refused": count, "errors": errors}
    return {"type": "object", "properties": properties, "required": ["accepted", "refused"]}


def _refused() -> Json:
    text = {"type": "string"}
    code = {"enum": [code.value for code in RequestCode]}
    properties = {
        "code": code,
        "message": text,
        "limit": {"type": "integer"},
        "field": text,
        "value": {"type": ["string", "null"]},
    }
    error = {"type": "object", "properties": properties, "required": ["code", "message"]}
    return {"type": "object", "properties": {"error": error}, "required": ["error"]}


def _cloudevent() -> Json:
    text = {"type": "string", "minLength": 1}
    properties = {
        "specversion": {"const": "1.0"},
        "id": text,
        "source": text,
        "type": text,
        "subject": text,
        "time": text | {"format": "date-time"},
        "data": {"type": "object"},
    }
    return {
        "type": "object",
        "description": "CloudEvents 1.0, structured: docs/event-contract.md says which attribute is which field.",
        "properties": properties,
        "required": ["specversion", "id", "source", "type", "data"],
    }


def _event_schemas() -> Json:
    """The contract's schema and its parts, each a component."""
    event = event_schema()
    parts = event.pop("$defs")
    del event["$schema"], event["$id"]
    schemas = {"Event": event} | {name.capitalize(): part for name, part in parts.items()}
    found: Json = _moved(schemas)
    return found


def _moved(node: Any) -> Any:
    """The node with references to the schema's own parts turned to components."""
    if isinstance(node, dict):
        return {
            key: _ref(value.rpartition("/")[2].capitalize())["$ref"] if key == "$ref" else _moved(value)
            for key, value in node.items()
        }
    return [_moved(each) for each in node] if isinstance(node, list) else node


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
