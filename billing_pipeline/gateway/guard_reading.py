"""A body of the guard's routes read strictly: what does not fit is named with its value."""

import re
from typing import Any, TypeVar

import msgspec

from billing_pipeline.contract.limits import QUOTED_CHARACTERS
from billing_pipeline.errors import RequestRefusedError
from billing_pipeline.gateway.request_code import RequestCode

Read = TypeVar("Read", bound=msgspec.Struct)

_PLACE = re.compile(r"(?P<what>.*?)(?: - at `(?:\$|key in \$)\.?(?P<path>[^`]*)`)?", re.DOTALL)
_NAMED = re.compile(r"Object (?:missing required|contains unknown) field `(?P<name>.*)`", re.DOTALL)
_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


def read_body(content: bytes, kind: type[Read]) -> Read:
    """The body as its struct.

    Raises:
        RequestRefusedError: it is no JSON document, or a field is missing, unknown or of another type.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        raise _refusal(content, str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"send one JSON object: {error}"
        raise RequestRefusedError(400, RequestCode.INVALID_BODY, message) from error


def _refusal(content: bytes, told: str) -> RequestRefusedError:
    found = _PLACE.fullmatch(told)
    what, path = (told, "") if found is None else (found["what"], found["path"] or "")
    named = _NAMED.fullmatch(what)
    field = path if named is None else f"{path}.{named['name']}".lstrip(".")
    value = _value(content, field)
    message = f"{field or 'body'} {value!r}: {what}; the fields and their types are in /openapi.json"
    return RequestRefusedError(
        400,
        RequestCode.INVALID_FIELD,
        message[: 4 * QUOTED_CHARACTERS],
        field=(field or "body")[:QUOTED_CHARACTERS],
        value=value,
    )


def _value(content: bytes, field: str) -> str | None:
    """What stands there, shortened; None where nothing does."""
    try:
        node: Any = msgspec.json.decode(content)
        for index, name in _STEP.findall(field):
            node = node[int(index)] if index else node[name]
        text = node if isinstance(node, str) else msgspec.json.encode(node).decode()
    except (msgspec.MsgspecError, UnicodeError, LookupError, TypeError, RecursionError):
        return None
    return text[:QUOTED_CHARACTERS]
