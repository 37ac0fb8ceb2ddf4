"""The simulator's contract as an OpenAPI document: what each endpoint takes, by the types of the installed SDK."""

import re
import types
import typing
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Literal

import stripe
import typing_extensions

from billing_pipeline.invoicing.simulator.call import Endpoint
from billing_pipeline.invoicing.simulator.contract import fields, fields_of, required

_SCALARS: dict[Any, dict[str, Any]] = {
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    str: {"type": "string"},
    Decimal: {"type": "string", "format": "decimal"},
    float: {"type": "number"},
}


def contract_document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """OpenAPI 3.1 with a path per endpoint; `x-simulator-understands` are the parameters that have an effect here."""
    paths: dict[str, dict[str, Any]] = {}
    for found in endpoints:
        paths.setdefault(found.template, {})[found.method.lower()] = _operation(found)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Stripe, as the simulator checks it",
            "version": stripe.api_version,
            "description": f"Made from the parameter types of stripe-python {stripe.VERSION}.",
        },
        "paths": dict(sorted(paths.items())),
    }


def _operation(found: Endpoint) -> dict[str, Any]:
    properties = {name: schema(hint) for name, hint in sorted(fields(found.parameters).items())}
    needed = sorted(required(found.parameters))
    ids = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", found.template)
    ]
    operation: dict[str, Any] = {
        "summary": (found.run.__doc__ or "").partition("\n")[0],
        "parameters": ids,
        "x-simulator-understands": sorted(found.understood),
    }
    if found.method == "POST":
        body = {
            "type": "object",
            "properties": properties,
            "required": needed,
            "additionalProperties": False,
        }
        operation["requestBody"] = {"content": {"application/x-www-form-urlencoded": {"schema": body}}}
    else:
        operation["parameters"] += [
            {"name": name, "in": "query", "required": name in needed, "schema": each}
            for name, each in properties.items()
        ]
    return operation


def schema(hint: Any) -> dict[str, Any]:
    """The JSON Schema of a parameter's type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        found = _distinct(schema(member) for member in arguments)
        # `Literal["a"] | str` is open for what the SDK does not know yet; the simulator takes today's values.
        closed = [each for each in found if each.get("enum", [""]) != [""]]
        kept = [each for each in found if not (closed and each == {"type": "string"})]
        return kept[0] if len(kept) == 1 else {"anyOf": kept}
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin is list:
        return {"type": "array", "items": schema(arguments[0])}
    if typing_extensions.is_typeddict(hint):
        return {
            "type": "object",
            "properties": {name: schema(each) for name, each in sorted(fields_of(hint).items())},
            "required": sorted(hint.__required_keys__),
            "additionalProperties": False,
        }
    if origin is not None:  # a free mapping such as metadata
        return {"type": "object", "additionalProperties": schema(arguments[-1])}
    return dict(_SCALARS[hint])


def _distinct(schemas: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for each in schemas:
        if each not in found:
            found.append(each)
    return found
