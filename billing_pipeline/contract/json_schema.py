"""The event contract as JSON Schema (2020-12): what producers can check before they send.

The schema says what can be said about the shape of an event. Beyond it the parser sees what JSON Schema
cannot: keys given twice, an integer written as `1.0`, times that do not exist, and shares that do not add
up to 1.
"""

from typing import Any

from billing_pipeline.contract import limits
from billing_pipeline.contract.decimals import DELTA_PATTERN, QUANTITY_PATTERN, SHARE_PATTERN
from billing_pipeline.contract.instants import INSTANT_PATTERN
from billing_pipeline.contract.reason_codes import CorrectionReason, UsageReason
from billing_pipeline.contract.validation import FIELDS_SINCE_2

Schema = dict[str, Any]

SCHEMA_ID = "https://billing-pipeline.example/schemas/event.json"
_NO_CONTROL = r"^[^\u0000-\u001f\u007f-\u009f]*$"
_NO_CONTROL_OR_SLASH = r"^[^\u0000-\u001f\u007f-\u009f/]*$"
_LINES_ALLOWED = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$"
_LARGEST = 10**limits.INTEGER_DIGITS - 1


def event_schema() -> Schema:
    """The schema of one event in our own JSON: a usage event or a correction."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Usage event or correction",
        "description": "Decimals are text or integers, never numbers with a point or an exponent.",
        "oneOf": [{"$ref": "#/$defs/usage"}, {"$ref": "#/$defs/correction"}],
        "$defs": {"usage": _usage(), "correction": _correction(), "dimensions": _dimensions()},
    }


def _text(characters: int, pattern: str = _NO_CONTROL) -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": characters, "pattern": pattern}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _instant() -> Schema:
    return {"type": "string", "maxLength": limits.INSTANT_CHARACTERS, "pattern": f"^{INSTANT_PATTERN}$"}


def _decimal(pattern: str, smallest: int) -> Schema:
    integer = {"type": "integer", "minimum": smallest, "maximum": _LARGEST}
    return {"anyOf": [{"type": "string", "pattern": f"^{pattern}$"}, integer]}


def _codes(codes: type[UsageReason] | type[CorrectionReason]) -> Schema:
    return {"enum": [code.value for code in codes]}


def _dimensions() -> Schema:
    return {
        "type": "object",
        "maxProperties": limits.DIMENSIONS,
        "propertyNames": _text(limits.DIMENSION_KEY_CHARACTERS),
        "additionalProperties": _text(limits.DIMENSION_VALUE_CHARACTERS),
    }


def _common(kind: str) -> Schema:
    return {
        "type": {"const": kind},
        "id": _text(limits.ID_CHARACTERS),
        "source": _text(limits.SOURCE_CHARACTERS),
        "schema_version": {"enum": list(limits.SCHEMA_VERSIONS)},
        "occurred_at": _instant(),
        "emitted_at": _or_null(_instant()),
        "received_at": _or_null(_instant()),
    }


def _usage() -> Schema:
    trace = _text(limits.TRACE_CHARACTERS)
    properties = _common("usage") | {
        "customer_id": _text(limits.ID_CHARACTERS, _NO_CONTROL_OR_SLASH),
        "project_id": _text(limits.ID_CHARACTERS),
        "user_id": _or_null(_text(limits.ID_CHARACTERS)),
        "unit": _text(limits.UNIT_CHARACTERS),
        "quantity": _decimal(QUANTITY_PATTERN, 0),
        "dimensions": _or_null({"$ref": "#/$defs/dimensions"}),
        "correlation_id": trace,
        "session_id": _or_null(trace),
        "parent_id": _or_null(trace),
        "step": _or_null(_text(limits.UNIT_CHARACTERS)),
        "billable": _or_null({"type": "boolean", "default": True}),
        "reason_code": _or_null(_codes(UsageReason)),
        "allocations": _or_null(_allocations()),
    }
    not_billable = {"properties": {"billable": {"const": False}}, "required": ["billable"]}
    version_1 = {"properties": {"schema_version": {"const": 1}}}
    return _object(
        properties,
        ("customer_id", "project_id", "unit", "quantity", "correlation_id"),
        allOf=[
            {
                "if": not_billable,
                "then": {"required": ["reason_code"], "properties": {"reason_code": _codes(UsageReason)}},
            },
            {"if": version_1, "then": {"properties": {name: {"type": "null"} for name in FIELDS_SINCE_2}}},
        ],
    )


def _allocations() -> Schema:
    share = {
        "type": "object",
        "properties": {
            "customer_id": _text(limits.ID_CHARACTERS, _NO_CONTROL_OR_SLASH),
            "project_id": _text(limits.ID_CHARACTERS),
            "share": {"type": "string", "pattern": f"^{SHARE_PATTERN}$", "not": {"pattern": "^0\\.0*$"}},
        },
        "required": ["customer_id", "project_id", "share"],
        "additionalProperties": False,
    }
    return {"type": "array", "minItems": 1, "maxItems": limits.SHARES, "items": share}


def _correction() -> Schema:
    source, event_id = _text(limits.SOURCE_CHARACTERS), _text(limits.ID_CHARACTERS)
    properties = _common("correction") | {
        "corrects": {
            "type": "object",
            "properties": {"source": source, "id": event_id},
            "required": ["source", "id"],
            "additionalProperties": False,
        },
        "action": {"enum": ["void", "adjust", "replace"]},
        "quantity_delta": _or_null(_decimal(DELTA_PATTERN, -_LARGEST)),
        "replacement": _or_null(_replacement()),
        "reason_code": _codes(CorrectionReason),
        "note": _or_null(_text(limits.NOTE_CHARACTERS, _LINES_ALLOWED)),
        "correlation_id": _or_null(_text(limits.TRACE_CHARACTERS)),
    }
    delta, replacement = _decimal(DELTA_PATTERN, -_LARGEST), {"type": "object"}
    return _object(
        properties,
        ("corrects", "action", "reason_code"),
        allOf=[
            _only_with("adjust", "quantity_delta", delta),
            _only_with("replace", "replacement", replacement),
        ],
    )


def _replacement() -> Schema:
    fields: Schema = {
        "customer_id": _text(limits.ID_CHARACTERS, _NO_CONTROL_OR_SLASH),
        "project_id": _text(limits.ID_CHARACTERS),
        "unit": _text(limits.UNIT_CHARACTERS),
        "dimensions": {"$ref": "#/$defs/dimensions"},
        "billable": {"type": "boolean"},
        "quantity": _decimal(QUANTITY_PATTERN, 0),
    }
    return {
        "type": "object",
        "properties": {name: _or_null(field) for name, field in fields.items()},
        "additionalProperties": False,
        "anyOf": [{"required": [name], "properties": {name: field}} for name, field in fields.items()],
    }


def _only_with(action: str, field: str, schema: Schema) -> Schema:
    """`field` is there, and not null, just where the action is this one."""
    return {
        "if": {"properties": {"action": {"const": action}}, "required": ["action"]},
        "then": {"required": [field], "properties": {field: schema}},
        "else": {"properties": {field: {"type": "null"}}},
    }


def _object(properties: Schema, required: tuple[str, ...], **rules: Any) -> Schema:
    always = ["type", "id", "source", "schema_version", "occurred_at"]
    return {
        "type": "object",
        "properties": properties,
        "required": [*always, *required],
        "additionalProperties": False,
        **rules,
    }
