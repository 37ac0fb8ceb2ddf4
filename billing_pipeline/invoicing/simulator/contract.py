"""What each endpoint accepts, taken from the parameter types of the installed SDK: it cannot drift from it.

Every value arrives as text; `read` checks names, presence and types and returns typed values.
"""

import re
import sys
import types
import typing
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib import import_module
from typing import Any, Literal

import stripe
import typing_extensions

from billing_pipeline.invoicing.simulator import control_parameters
from billing_pipeline.invoicing.simulator.api_error import ApiError

_INTEGER = re.compile(r"^-?[0-9]{1,18}$")
_DECIMAL = re.compile(r"^-?[0-9]{1,30}(\.[0-9]{1,30})?$")


@cache
def fields(type_name: str) -> Mapping[str, Any]:
    """The parameters of an endpoint with their types, by the SDK's name for it (`InvoiceCreateParams`)."""
    return fields_of(parameter_type(type_name))


@cache
def parameter_type(type_name: str) -> Any:
    """The type itself; a name with dots is looked up in the SDK's rooms (`billing.MeterCreateParams`).

    The simulator's own endpoints, which the SDK does not know, have theirs in `control_parameters`.
    """
    room, _, name = type_name.rpartition(".")
    if room == "simulator":
        return getattr(control_parameters, name)
    return getattr(import_module(f"stripe.params.{room}" if room else "stripe.params"), name)


def required(type_name: str) -> frozenset[str]:
    """The parameters of an endpoint that may not be missing."""
    return frozenset(parameter_type(type_name).__required_keys__ & fields(type_name).keys())


def read(type_name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The decoded parameters, checked against the SDK's type and typed: int, bool, Decimal, str, dict, list.

    Raises:
        ApiError: the first unknown, missing or mistyped parameter, named as Stripe names it.
    """
    return _read_object(parameter_type(type_name), values, "")


@cache
def fields_of(typed_dict: Any) -> Mapping[str, Any]:
    """The fields of one of the SDK's types, or of one nested in it, with their types."""
    options = vars(sys.modules[stripe.RequestOptions.__module__])
    module = vars(sys.modules[typed_dict.__module__])
    # `StripeContext` is imported by the SDK for type checkers only.
    names = {**options, **module, "StripeContext": object}
    hints = typing_extensions.get_type_hints(typed_dict, globalns=names)
    return {name: hint for name, hint in hints.items() if name not in stripe.RequestOptions.__annotations__}


def _read_object(typed_dict: Any, values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    known = fields_of(typed_dict)
    for name in values:
        if name not in known:
            path = _path(prefix, name)
            raise _refusal(f"Received unknown parameter: {path}", path, "parameter_unknown")
    for name in sorted(typed_dict.__required_keys__ & known.keys()):
        if name not in values:
            path = _path(prefix, name)
            raise _refusal(f"Missing required param: {path}.", path, "parameter_missing")
    return {name: _read_value(known[name], value, _path(prefix, name)) for name, value in values.items()}


def _read_value(hint: Any, value: Any, path: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in {typing.Union, types.UnionType}:
        return _read_union(typing.get_args(hint), value, path)
    if origin is Literal:
        return _read_choice(typing.get_args(hint), value, path)
    if origin is list:
        if not isinstance(value, list):
            raise _refusal("Invalid array", path)
        (item,) = typing.get_args(hint)
        return [_read_value(item, child, f"{path}[{index}]") for index, child in enumerate(value)]
    if typing_extensions.is_typeddict(hint):
        return _read_object(hint, _mapping(value, path), path)
    if origin is not None:  # Dict[str, T], UntypedStripeObject[T]
        item = typing.get_args(hint)[-1]
        return {
            key: _read_value(item, child, f"{path}[{key}]") for key, child in _mapping(value, path).items()
        }
    return _read_scalar(hint, value, path)


def _read_union(members: tuple[Any, ...], value: Any, path: str) -> Any:
    choices = tuple(
        choice
        for member in members
        if typing.get_origin(member) is Literal
        for choice in typing.get_args(member)
    )
    if value == "" and "" in choices:
        return ""
    others = [member for member in members if typing.get_origin(member) is not Literal]
    if set(choices) - {""} and others == [str]:
        # `Literal["a", "b"] | str`: open for the SDK's future, closed for today's API.
        return _read_choice(choices, value, path)
    scalar = [member for member in others if member in _SCALARS]
    nested = [member for member in others if member not in _SCALARS]
    candidates = nested if isinstance(value, dict | list) and nested else scalar or nested
    return _read_value(candidates[0], value, path)


def _read_choice(choices: tuple[Any, ...], value: Any, path: str) -> str:
    if not isinstance(value, str) or value not in choices:
        raise _refusal(
            f"Invalid {path}: must be one of {', '.join(choice for choice in choices if choice)}", path
        )
    return value


def _read_scalar(hint: Any, value: Any, path: str) -> Any:
    if not isinstance(value, str):
        raise _refusal(f"Invalid {getattr(hint, '__name__', 'value')}: {path} is a hash or an array", path)
    return _SCALARS[hint](value, path)


def _read_integer(value: str, path: str) -> int:
    if not _INTEGER.match(value):
        raise _refusal(f"Invalid integer: {value}", path, "parameter_invalid_integer")
    return int(value)


def _read_boolean(value: str, path: str) -> bool:
    if value not in {"true", "false"}:
        raise _refusal(f"Invalid boolean: {value}", path)
    return value == "true"


def _read_decimal(value: str, path: str) -> Decimal:
    try:
        if _DECIMAL.match(value):
            return Decimal(value)
    except InvalidOperation:  # pragma: no cover - the pattern admits plain decimals only
        pass
    raise _refusal(f"Invalid decimal: {value}", path)


def _read_text(value: str, _path: str) -> str:
    return value


_SCALARS: dict[Any, Callable[[str, str], Any]] = {
    int: _read_integer,
    bool: _read_boolean,
    Decimal: _read_decimal,
    float: _read_decimal,  # percentages of taxes
    str: _read_text,
}


def _mapping(value: Any, path: str) -> Mapping[str, Any]:
    if isinstance(value, list):  # keys 0, 1, 2 … of a free mapping such as metadata
        return {str(index): child for index, child in enumerate(value)}
    if not isinstance(value, dict):
        raise _refusal("Invalid object", path)
    return value


def _path(prefix: str, name: str) -> str:
    return f"{prefix}[{name}]" if prefix else name


def _refusal(message: str, path: str, code: str | None = None) -> ApiError:
    return ApiError(message, code=code, param=path, keep=False)
