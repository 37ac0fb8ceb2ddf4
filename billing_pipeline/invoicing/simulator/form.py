"""Form-encoded nested parameters, read as Stripe does: `lines[0][metadata][line_id]=…`."""

import re
from typing import Any
from urllib.parse import parse_qsl

from billing_pipeline.invoicing.simulator.api_error import ApiError

MAX_FIELDS = 50_000
MAX_DEPTH = 8

_NAME = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")
_SEGMENT = re.compile(r"\[([^\[\]]*)\]")


def decode(text: str) -> dict[str, Any]:
    """Nested parameters: text, mapping or list; a mapping whose keys are 0, 1, 2 … becomes a list.

    Raises:
        ApiError: a name is malformed or used both as a value and as a mapping.
    """
    root: dict[str, Any] = {}
    try:
        fields = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise ApiError(f"Invalid form body: {error}", keep=False) from error
    for name, value in fields:
        match = _NAME.match(name)
        if match is None:
            raise ApiError(f"Invalid parameter name: {name}", param=name, keep=False)
        path = [match.group(1), *_SEGMENT.findall(match.group(2))]
        if len(path) > MAX_DEPTH:
            raise ApiError(f"Parameters are nested too deeply: {name}", param=name, keep=False)
        _put(root, path, value, name)
    return {key: _with_lists(value) for key, value in root.items()}


def _put(root: dict[str, Any], path: list[str], value: str, name: str) -> None:
    node = root
    for position, segment in enumerate(path):
        key = segment or str(len(node))  # `expand[]=a&expand[]=b`
        if position == len(path) - 1:
            if isinstance(node.get(key), dict):
                raise ApiError(f"Invalid parameter, both a value and a hash: {name}", param=name, keep=False)
            node[key] = value
            return
        child = node.setdefault(key, {})
        if not isinstance(child, dict):
            raise ApiError(f"Invalid parameter, both a value and a hash: {name}", param=name, keep=False)
        node = child


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    children = {key: _with_lists(child) for key, child in value.items()}
    if list(children) == [str(index) for index in range(len(children))]:
        return list(children.values())
    return children
