"""Reads JSON strictly: duplicate keys, depth and bad text are found, and no number ever becomes a float.

Numbers keep the text they came as: `1.0`, `1e999999999` and 60,000 digits cost nothing and lose nothing.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

_STRINGS = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKETS = re.compile(r"[\[\]{}]")

JsonFault = Literal["invalid_utf8", "nul_character", "too_deep", "invalid_json"]


@dataclass(frozen=True, slots=True)
class Number:
    """A JSON number as it was written."""

    text: str
    is_integer: bool


JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | bool | Number | None"


@dataclass
class Document:
    """What was read: a value, or the fault that prevented it, and the keys that some object named twice."""

    value: JsonValue = None
    fault: JsonFault | None = None
    detail: str = ""
    duplicate_keys: list[str] = field(default_factory=list)


def read_json(payload: bytes, max_levels: int) -> Document:
    """The payload as one JSON value; never raises, and takes time linear in its length."""
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError as error:
        return Document(fault="invalid_utf8", detail=f"0x{payload[error.start]:02x} at byte {error.start}")
    if "\0" in text:
        return Document(fault="nul_character", detail=f"a NUL at byte {payload.index(0)}")
    if _levels(text) > max_levels:
        return Document(fault="too_deep", detail=f"more than {max_levels} levels")
    duplicates: list[str] = []

    def members(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
        found = dict(pairs)
        if len(found) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            duplicates.extend(key for key, count in counts.items() if count > 1)
        return found

    try:
        value: JsonValue = json.loads(
            text,
            object_pairs_hook=members,
            parse_int=lambda digits: Number(digits, is_integer=True),
            parse_float=lambda digits: Number(digits, is_integer=False),
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        return Document(fault="invalid_json", detail=f"{error.msg} at character {error.pos}")
    except ValueError as error:
        return Document(fault="invalid_json", detail=str(error))
    return Document(value=value, duplicate_keys=duplicates)


def _refuse_constant(name: str) -> JsonValue:
    raise ValueError(f"{name} is not JSON")


def _levels(text: str) -> int:
    deepest = level = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub("", text)):
        level += 1 if bracket in "[{" else -1
        deepest = max(deepest, level)
    return deepest
