"""One record of the log: the bytes as they came, and what was parsed from them, once.

The record is made where an event is parsed first (gateway, client, importer) and is carried as one JSON line
through the durable queue; landing turns the lines into columns without looking at a single event in Python.
"""

import base64
from typing import Literal, TypedDict

import msgspec

RecordKind = Literal["usage", "correction", "control", "invalid"]


class LogRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A usage event, a correction, a control record (registry change) or an invalid record.

    Instants are UTC microseconds since the epoch. Quantities are plain decimal text without trailing zeros.
    `dimensions` is canonical JSON text (sorted keys, compact). Exactly one of `payload` and `payload_base64`
    is set: the latter where the bytes are no valid UTF-8 text or hold a NUL.
    """

    kind: RecordKind
    payload: str | None = None
    payload_base64: str | None = None

    source: str | None = None
    id: str | None = None
    schema_version: int | None = None
    payload_digest: str | None = None
    """128 bits in hex: the first 16 bytes of SHA-256 over the canonical form."""
    key_hash: int | None = None
    """The first 64 bits of MD5 over source, NUL, id, as a signed big-endian integer."""
    occurred_at: int | None = None
    emitted_at: int | None = None
    customer_id: str | None = None
    project_id: str | None = None
    user_id: str | None = None
    unit: str | None = None
    quantity: str | None = None
    dimensions: str | None = None
    correlation_id: str | None = None
    session_id: str | None = None
    parent_id: str | None = None
    step: str | None = None
    billable: bool | None = None
    reason_code: str | None = None
    allocations: str | None = None
    """JSON text: an array of `records.AllocatedShare`, quantity and event split exactly."""

    corrects_source: str | None = None
    corrects_id: str | None = None
    corrects_key_hash: int | None = None
    """As `key_hash`, of the event that is corrected."""
    action: str | None = None
    quantity_delta: str | None = None
    replacement: str | None = None
    note: str | None = None

    entity: str | None = None
    entity_id: str | None = None
    change: str | None = None
    effective_from: int | None = None
    details: str | None = None

    fault_code: str | None = None
    fault_field: str | None = None
    fault_value: str | None = None
    fault_message: str | None = None

    first_received_at: int | None = None
    """Of a record that is sent again: when its bytes were received for the first time."""
    requeued_offset: int | None = None
    """Of a record that is sent again: the offset of the refused record it stands for."""


class PayloadFields(TypedDict, total=False):
    """The one of the two fields that keeps the bytes."""

    payload: str
    payload_base64: str


def payload_fields(payload: bytes) -> PayloadFields:
    """The payload as the field of a record that keeps these bytes exactly."""
    if b"\0" not in payload:
        try:
            return {"payload": payload.decode("utf-8")}
        except UnicodeDecodeError:
            pass
    return {"payload_base64": base64.b64encode(payload).decode("ascii")}


def payload_bytes(record: LogRecord) -> bytes:
    """The bytes as they came."""
    if record.payload_base64 is not None:
        return base64.b64decode(record.payload_base64)
    return (record.payload or "").encode("utf-8")
