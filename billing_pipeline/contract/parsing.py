"""Parses an event once: bytes in, a record of the log out, whatever the bytes are.

Most events decode into their type at once. Whatever that path declines (a fault, a correction, a CloudEvent,
an escape in a text) is read strictly and checked field by field; with no fault it ends in the same types.
"""

import hashlib
import json
import re

import msgspec

from billing_pipeline.contract.cloudevents import is_cloudevent, own_fields
from billing_pipeline.contract.correction_validation import check_correction
from billing_pipeline.contract.fault import Fault, Faults
from billing_pipeline.contract.json_reading import JsonValue, Number, read_json
from billing_pipeline.contract.limits import NESTING_LEVELS, PAYLOAD_BYTES
from billing_pipeline.contract.log import LogRecord, payload_fields
from billing_pipeline.contract.plain_usage import quotes_of
from billing_pipeline.contract.reason_codes import RejectionCode
from billing_pipeline.contract.records import RuleBrokenError, correction_record, usage_record
from billing_pipeline.contract.validation import check_usage
from billing_pipeline.contract.wire import WireCorrection, WireUsage

_USAGE = msgspec.json.Decoder(WireUsage)
_CORRECTION = msgspec.json.Decoder(WireCorrection)
_HIGH_CONTROL_CHARACTERS = re.compile(r"[\x7f-\x9f]")  # JSON itself refuses the low ones
_JSON_FAULT_RULES = {
    "invalid_utf8": "be UTF-8 text",
    "nul_character": "have no NUL character",
    "too_deep": f"nest objects and lists at most {NESTING_LEVELS} deep",
    "invalid_json": "be one JSON value",
}


def parse(payload: bytes) -> LogRecord:
    """The record of one event in our own JSON or as a structured CloudEvent; never raises.

    An event with faults becomes a record of kind `invalid`: code, field and value are those of the first
    fault, the message says all of them. Of a record longer than 64 KiB the first 64 KiB are kept, and the
    digest of all.
    """
    record = parse_fast(payload)
    if record is not None:
        return record
    fields, found = _read(payload)
    return invalid_record(payload, found) if found else _valid(fields, payload)


def parse_value(event: object) -> LogRecord:
    """As `parse`, of an event that is built already (a mapping, or a struct of `contract.events`)."""
    return parse(msgspec.json.encode(event))


def faults(payload: bytes) -> list[Fault]:
    """Every fault of one event, empty if it is valid; never raises."""
    return _read(payload)[1]


def parse_fast(payload: bytes) -> LogRecord | None:
    """The fast path: the record of a usage event in our own JSON; None where it declines to decide."""
    if len(payload) > PAYLOAD_BYTES or b"\\" in payload:
        return None
    try:
        event = _USAGE.decode(payload)
        if payload.count(b'"') != quotes_of(event):
            return None
        text = payload.decode("utf-8")
        if (not payload.isascii() or "\x7f" in text) and _HIGH_CONTROL_CHARACTERS.search(text):
            return None
        return usage_record(event, {"payload": text})
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, RuleBrokenError):
        return None


def _read(payload: bytes) -> tuple[dict[str, JsonValue], list[Fault]]:
    """The event's fields in our own form, and all its faults."""
    found = Faults()
    if len(payload) > PAYLOAD_BYTES:
        size = f"{len(payload)} bytes, SHA-256 {hashlib.sha256(payload).hexdigest()}"
        found.add(RejectionCode.RECORD_TOO_LARGE, "", size, f"have at most {PAYLOAD_BYTES} bytes")
        return {}, found.found
    document = read_json(payload, NESTING_LEVELS)
    if document.fault is not None:
        found.add(
            RejectionCode[document.fault.upper()], "", document.detail, _JSON_FAULT_RULES[document.fault]
        )
        return {}, found.found
    for key in document.duplicate_keys:
        found.add(RejectionCode.DUPLICATE_KEY, key, None, "be named once in its object")
    if not isinstance(document.value, dict):
        found.add(RejectionCode.NOT_AN_OBJECT, "", document.value, "be a JSON object")
        return {}, found.found
    fields = document.value
    if is_cloudevent(fields):
        fields = own_fields(fields, found)
    if _is_correction(fields, found):
        check_correction(fields, found)
    else:
        check_usage(fields, found)
    return fields, found.found


def _is_correction(fields: dict[str, JsonValue], found: Faults) -> bool:
    kind = fields.get("type")
    rule = "be usage or correction"
    if kind is None:
        found.add(RejectionCode.MISSING_FIELD, "type", None, rule)
    elif not isinstance(kind, str):
        found.add(RejectionCode.WRONG_TYPE, "type", kind, rule)
    elif kind not in ("usage", "correction"):
        found.add(RejectionCode.UNKNOWN_TYPE, "type", kind, rule)
    return kind == "correction" or (kind != "usage" and "corrects" in fields)


def _valid(fields: dict[str, JsonValue], payload: bytes) -> LogRecord:
    text = json.dumps(fields, ensure_ascii=False, default=_integer).encode()
    if fields["type"] == "correction":
        return correction_record(_CORRECTION.decode(text), payload_fields(payload))
    return usage_record(_USAGE.decode(text), payload_fields(payload))


def _integer(value: object) -> int:
    if isinstance(value, Number):
        return int(value.text)
    raise TypeError(type(value).__name__)


def invalid_record(payload: bytes, found: list[Fault]) -> LogRecord:
    """What is kept of an event with these faults, at least one."""
    first = found[0]
    return LogRecord(
        kind="invalid",
        fault_code=first.reason_code.value,
        fault_field=first.field,
        fault_value=first.value,
        fault_message="; ".join(fault.message for fault in found),
        **payload_fields(payload[:PAYLOAD_BYTES]),
    )
