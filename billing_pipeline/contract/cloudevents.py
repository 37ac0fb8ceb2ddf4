"""CloudEvents 1.0 in JSON: a structured event turned into our own fields, and a batch split into its events.

`id`, `source` and `type` keep their meaning (`type` may be qualified: `com.example.usage`), `subject` is
the customer_id, `time` is occurred_at, the extensions `correlationid` and `recordedtime` are correlation_id
and received_at. Everything else of the event stands in `data`. Other extensions (tracing and the like) are
kept in the bytes as they came and otherwise passed over, as CloudEvents asks.
"""

import re
from collections.abc import Mapping

import msgspec

from billing_pipeline.contract.fault import Faults
from billing_pipeline.contract.json_reading import JsonValue, Number
from billing_pipeline.contract.reason_codes import RejectionCode

FIELD_OF_ATTRIBUTE = {
    "id": "id",
    "source": "source",
    "type": "type",
    "subject": "customer_id",
    "time": "occurred_at",
    "correlationid": "correlation_id",
    "recordedtime": "received_at",
}
_ENVELOPE = frozenset({"specversion", "datacontenttype", "dataschema", "data"})
_ATTRIBUTE_NAME = re.compile(r"[a-z0-9]+", re.ASCII)
_JSON_CONTENT = re.compile(r"[^;]*[/+]json\s*(;.*)?", re.IGNORECASE | re.ASCII)


def is_cloudevent(fields: Mapping[str, JsonValue]) -> bool:
    """Whether a JSON object is a CloudEvent: it says its `specversion`."""
    return "specversion" in fields


def own_fields(envelope: Mapping[str, JsonValue], faults: Faults) -> dict[str, JsonValue]:
    """The fields of our own form that a structured CloudEvent stands for; envelope faults are added."""
    _check_envelope(envelope, faults)
    data = envelope.get("data")
    fields: dict[str, JsonValue] = dict(data) if isinstance(data, dict) else {}
    for attribute, field in FIELD_OF_ATTRIBUTE.items():
        value = envelope.get(attribute)
        if attribute == "type" and isinstance(value, str):
            value = _own_type(value)
        if value is None:
            continue
        if fields.get(field) is not None and fields[field] != value:
            rule = f"be the same in the attribute {attribute} and in data"
            faults.add(RejectionCode.CONTRADICTING_FIELDS, field, fields[field], rule)
        fields[field] = value
    return fields


def split_batch(payload: bytes) -> list[bytes]:
    """The events of a batch (a JSON array), each as the bytes it came as; anything else is one event."""
    if not payload.lstrip(b" \t\r\n").startswith(b"["):
        return [payload]
    try:
        return [bytes(event) for event in msgspec.json.decode(payload, type=list[msgspec.Raw])]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return [payload]


def _own_type(text: str) -> str:
    name = text.rpartition(".")[2]
    return name if name in ("usage", "correction") else text


def _check_envelope(envelope: Mapping[str, JsonValue], faults: Faults) -> None:
    version, content_type = envelope.get("specversion"), envelope.get("datacontenttype")
    if version != "1.0":
        faults.add(RejectionCode.INVALID_ENVELOPE, "specversion", version, 'be "1.0"')
    if content_type is not None and not (
        isinstance(content_type, str) and _JSON_CONTENT.fullmatch(content_type)
    ):
        faults.add(RejectionCode.INVALID_ENVELOPE, "datacontenttype", content_type, "be application/json")
    if not isinstance(envelope.get("data"), dict):
        faults.add(RejectionCode.INVALID_ENVELOPE, "data", envelope.get("data"), "be a JSON object")
    for name, value in envelope.items():
        if name in _ENVELOPE or name in FIELD_OF_ATTRIBUTE:
            continue
        if name == "data_base64":
            faults.add(RejectionCode.INVALID_ENVELOPE, name, value, "be left out; send data as a JSON object")
        elif _ATTRIBUTE_NAME.fullmatch(name) is None:
            faults.add(
                RejectionCode.UNKNOWN_FIELD, name, value, "be in data, attributes are of a-z and 0-9 only"
            )
        elif isinstance(value, dict | list) or (isinstance(value, Number) and not value.is_integer):
            faults.add(RejectionCode.WRONG_TYPE, name, value, "be text, an integer or a boolean")
