"""The review routes as OpenAPI: parameters, bodies and answers from the types that the routes read and write."""

from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from billing_pipeline.gateway import review_bodies as bodies
from billing_pipeline.guardrails.commands import Done
from billing_pipeline.guardrails.review.limits import LimitInForce
from billing_pipeline.guardrails.review.limits_set import SetLimitShown
from billing_pipeline.guardrails.review.queue import Review
from billing_pipeline.guardrails.review.shown import Instant, Nano
from billing_pipeline.guardrails.review.stops import StopInForce
from billing_pipeline.guardrails.review.surroundings import Surroundings

Json = dict[str, Any]

_JSON = "application/json"
_REFUSALS = {
    400: "A parameter, the body or a field of it is not possible.",
    401: "There is no API key, or it is unknown, expired or revoked.",
    403: "The API key lacks the right guard:admin, or may not act for this customer.",
    408: "The body came too slowly.",
    413: "The body is too large.",
    503: "The guard's ledger cannot be reached, or the gateway is being stopped.",
}
_SIMPLE: dict[Any, Json] = {
    Nano: {"type": "string", "pattern": "^-?[0-9]+$", "description": "Nano-units."},
    Instant: {"type": "string", "format": "date-time"},
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
}


def review_paths() -> Json:
    """Paths and their operations."""
    found = _item({"review": Review, "surroundings": Surroundings})
    decided = _item({"review": Review})
    limits = _object({"set": _list(SetLimitShown), "in_force": _list(LimitInForce)})
    done = schema_of(Done)
    one = [_parameter("review_id", {"type": "string"}, place="path", required=True)]
    return {
        "/v1/reviews": {
            "get": _operation(
                "list_reviews", "Review items, the newest first.", _page(Review), bodies.ReviewsAsked
            ),
        },
        "/v1/reviews/{review_id}": {
            "get": _operation("show_review", "An item and what went on around it.", found, path=one)
        },
        "/v1/reviews/{review_id}/decision": {
            "post": _operation(
                "decide_review",
                "Decide an item.",
                decided,
                body=bodies.DecisionAsked,
                path=one,
                conflict=True,
            )
        },
        "/v1/limits": {
            "get": _operation("list_limits", "Limits set, and those in force.", limits, bodies.LimitsAsked),
            "put": _operation("set_limit", "Set a limit for one scope.", done, body=bodies.LimitAsked),
            "delete": _operation("unset_limit", "Let the plan's limit hold again.", done, bodies.LimitUnset),
        },
        "/v1/stops": {
            "get": _operation("list_stops", "Stops in force.", _page(StopInForce), bodies.StopsAsked),
            "post": _operation("set_stop", "Deny everything in a scope.", done, body=bodies.StopAsked),
            "delete": _operation("lift_stop", "Take a stop back.", done, bodies.StopLifted),
        },
    }


def schema_of(kind: Any) -> Json:
    """The JSON Schema of what `shown.document` makes of a type."""
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    if get_origin(kind) is Literal:
        return {"type": "string", "enum": list(get_args(kind))}
    if get_origin(kind) in {Union, UnionType}:
        parts = [schema_of(each) for each in get_args(kind) if each is not NoneType]
        return {"anyOf": [*parts, {"type": "null"}]}
    if get_origin(kind) is tuple:
        return {"type": "array", "items": schema_of(get_args(kind)[0])}
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = get_type_hints(kind, include_extras=True)
        return _object({name: schema_of(hints[name]) for name in kind.__struct_fields__})
    return {"type": "object"}


def _operation(
    name: str,
    meaning: str,
    answer: Json,
    query: type[msgspec.Struct] | None = None,
    *,
    body: type[msgspec.Struct] | None = None,
    path: list[Json] | None = None,
    conflict: bool = False,
) -> Json:
    correlated = {"X-Correlation-Id": {"schema": {"type": "string"}, "required": True}}
    responses: Json = {
        "200": {"description": meaning, "headers": correlated, "content": {_JSON: {"schema": answer}}}
    }
    refusals = _REFUSALS | ({404: "There is no such item."} if path else {})
    if conflict:
        refusals[409] = "The item has been decided already."
    for status, why in sorted(refusals.items()):
        retried = {"Retry-After": {"schema": {"type": "integer"}, "required": True}}
        headers = correlated | (retried if status == 503 else {})  # noqa: PLR2004 - the status
        content = {_JSON: {"schema": {"$ref": "#/components/schemas/Refused"}}}
        responses[str(status)] = {"description": why, "headers": headers, "content": content}
    found: Json = {
        "operationId": name,
        "summary": meaning,
        "security": [{"bearer": []}, {"header": []}],
        "parameters": [*(path or []), *(_parameters(query) if query else [])],
        "responses": responses,
    }
    if body is not None:
        (schema,), parts = msgspec.json.schema_components([body], ref_template="#/{name}")
        found["requestBody"] = {
            "required": True,
            "content": {_JSON: {"schema": parts.get(body.__name__, schema)}},
        }
    return found


def _parameters(query: type[msgspec.Struct]) -> list[Json]:
    schema = msgspec.json.schema_components([query], ref_template="#/{name}")[1][query.__name__]
    return [
        _parameter(name, _without_null(field), place="query", required=name in schema.get("required", ()))
        for name, field in schema["properties"].items()
    ]


def _without_null(field: Json) -> Json:
    """A parameter is there or not: it has no null."""
    parts = [part for part in field.get("anyOf", ()) if part != {"type": "null"}]
    return parts[0] if parts else field


def _parameter(name: str, schema: Json, *, place: str, required: bool) -> Json:
    return {"name": name, "in": place, "required": required, "schema": schema}


def _page(row: type[msgspec.Struct]) -> Json:
    return _object({"rows": _list(row), "after": {"type": ["string", "null"]}})


def _list(row: type[msgspec.Struct]) -> Json:
    return {"type": "array", "items": schema_of(row)}


def _item(parts: dict[str, type[msgspec.Struct]]) -> Json:
    return _object({name: schema_of(part) for name, part in parts.items()})


def _object(properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": [*properties]}
