"""The guard's routes as OpenAPI: bodies within the ledger's bounds, answers by the types that are written."""

from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from billing_pipeline.contract.limits import (
    ID_CHARACTERS,
    SOURCE_CHARACTERS,
    TRACE_CHARACTERS,
    UNIT_CHARACTERS,
)
from billing_pipeline.gateway.balance_endpoint import CHARACTERS
from billing_pipeline.gateway.guard_bodies import AMOUNT_PATTERN
from billing_pipeline.guardrails.answers import DenialRule, Denied, Ended, Extended, Granted
from billing_pipeline.guardrails.balance import CustomerBalance
from billing_pipeline.guardrails.calling.wire import AMOUNTS, INSTANTS
from billing_pipeline.guardrails.checking import STEPS_MOST, USAGE_MOST
from billing_pipeline.guardrails.nano import LARGEST_AMOUNT

Json = dict[str, Any]

_JSON = "application/json"
_REFUSALS = {
    400: "The body is no JSON object, or a field is not possible: `field`, `value` and what to do.",
    401: "There is no API key, or it is unknown, expired or revoked.",
    403: "The API key lacks the right guard:use, or is limited to other customers.",
    408: "The body came too slowly.",
    413: "The body is too large.",
    429: "The API key's rate is used up.",
    503: "The ledger cannot be reached: whether it was done is not known. Or the gateway is being stopped.",
}
_UNSUPPORTED = {415: "Send application/json, uncompressed."}
_OF_HOLDS = {
    404: "There is no such hold.",
    409: "It has ended otherwise, or the key was used for another request.",
}
_UNPRICED = {422: "The usage has no price."}
_RETRIED = frozenset({429, 503})


def guard_paths() -> Json:
    """Paths and their operations."""
    reserve = _post(
        "reserve",
        "Hold what an action may cost at most, before it runs.",
        _reserve_body(),
        Granted,
        _UNPRICED | {409: "The key was used for another reserve."},
    )
    denial = {"denied": schema_of(Denied, message={"type": "string"})}
    reserve["responses"]["402"] = _response("Nothing was held: the action must not run.", _object(denial))
    return {
        "/v1/reserve": {"post": reserve},
        "/v1/settle": {
            "post": _post(
                "settle",
                "End a hold at what the action did cost, also after it has expired.",
                _ending_body("settle", _cost()),
                Ended,
                _OF_HOLDS | _UNPRICED,
            )
        },
        "/v1/release": {
            "post": _post("release", "End a hold unused.", _ending_body("release"), Ended, _OF_HOLDS)
        },
        "/v1/extend": {
            "post": _post("extend", "Let a hold end by itself later.", _extend_body(), Extended, _OF_HOLDS)
        },
        "/v1/balance": {"get": _balance()},
    }


def schema_of(kind: Any, name: str = "", **more: Json) -> Json:
    """The JSON Schema of what `wire.to_json` makes of a type; `more` are properties besides."""
    parts = [each for each in get_args(kind) if each is not NoneType]
    if get_origin(kind) in {Union, UnionType}:
        return {"anyOf": [*(schema_of(each, name) for each in parts), {"type": "null"}]}
    if get_origin(kind) is tuple:
        return {"type": "array", "items": schema_of(parts[0])}
    if get_origin(kind) is Literal or kind is DenialRule:
        return {"enum": parts or [rule.value for rule in DenialRule]}
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = get_type_hints(kind)
        return _object({field: schema_of(hints[field], field) for field in kind.__struct_fields__} | more)
    return _plain(kind, name)


def _plain(kind: type, name: str) -> Json:
    if name in AMOUNTS:
        return {"type": "string", "pattern": "^-?[0-9]+$"}
    if name in INSTANTS:
        return {"type": "string", "format": "date-time"}
    return {"type": {int: "integer", bool: "boolean", str: "string"}[kind]}


def _post(
    name: str, meaning: str, body: Json, answer: type[msgspec.Struct], refusals: dict[int, str]
) -> Json:
    found = _operation(name, meaning, answer, _REFUSALS | _UNSUPPORTED | refusals)
    found["requestBody"] = {"required": True, "content": {_JSON: {"schema": body}}}
    return found


def _balance() -> Json:
    meaning = "What a customer has, and what is left of its limits, its project's and its session's."
    found = _operation("balance", meaning, CustomerBalance, _REFUSALS)
    found["parameters"] = [
        {"name": name, "in": "query", "required": name == "customer_id", "schema": _text(characters)}
        for name, characters in CHARACTERS.items()
    ]
    return found


def _operation(name: str, meaning: str, answer: type[msgspec.Struct], refusals: dict[int, str]) -> Json:
    refused: Json = {"$ref": "#/components/schemas/Refused"}
    responses = {"200": _response(meaning, schema_of(answer))}
    for status, why in sorted(refusals.items()):
        responses[str(status)] = _response(why, refused, retried=status in _RETRIED)
    return {
        "operationId": name,
        "summary": meaning,
        "security": [{"bearer": []}, {"header": []}],
        "responses": responses,
    }


def _response(meaning: str, schema: Json, *, retried: bool = False) -> Json:
    headers: Json = {"X-Correlation-Id": {"schema": {"type": "string"}, "required": True}}
    if retried:
        headers["Retry-After"] = {"schema": {"type": "integer", "minimum": 1}, "required": True}
    return {"description": meaning, "headers": headers, "content": {_JSON: {"schema": schema}}}


def _reserve_body() -> Json:
    trace, identity = _or_null(_text(TRACE_CHARACTERS)), _or_null(_text(ID_CHARACTERS))
    properties = {
        "customer_id": _text(ID_CHARACTERS),
        "project_id": _text(ID_CHARACTERS),
        "session_id": trace,
        "idempotency_key": _text(TRACE_CHARACTERS),
        "ttl_seconds": _or_null({"type": "integer", "minimum": 1}),
        "steps": {"type": "integer", "minimum": 1, "maximum": STEPS_MOST, "default": 1},
        "call": trace,
        "user_id": identity,
        "correlation_id": trace,
        "step": identity,
    }
    return _body(properties | _cost(), "customer_id", "project_id", "idempotency_key")


def _ending_body(key: str, more: Json | None = None) -> Json:
    properties = {"hold_id": _hold_id(), "idempotency_key": _text(TRACE_CHARACTERS) | {"default": key}}
    return _body(properties | (more or {}), "hold_id")


def _extend_body() -> Json:
    properties = {
        "hold_id": _hold_id(),
        "ttl_seconds": {"type": "integer", "minimum": 1},
        "idempotency_key": _text(TRACE_CHARACTERS),
    }
    return _body(properties, *properties)


def _cost() -> Json:
    """Either of them has to be given."""
    usage = {
        "unit": _text(UNIT_CHARACTERS),
        "quantity": {"type": "string", "description": "A decimal, at least 0."},
        "dimensions": {"type": "object", "additionalProperties": {"type": "string"}},
        "source": _or_null(_text(SOURCE_CHARACTERS)),
        "id": _or_null(_text(ID_CHARACTERS)),
    }
    amount = {
        "type": "string",
        "pattern": AMOUNT_PATTERN,
        "description": f"Nano-units, at most {LARGEST_AMOUNT}.",
    }
    quantities = {"type": "array", "maxItems": USAGE_MOST, "items": _body(usage, "unit", "quantity")}
    return {"amount": _or_null(amount), "usage": quantities}


def _hold_id() -> Json:
    return {"type": "string", "pattern": "^[0-9a-f]{32}$"}


def _text(characters: int) -> Json:
    return {"type": "string", "minLength": 1, "maxLength": characters}


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def _body(properties: Json, *required: str) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _object(properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": [*properties]}
