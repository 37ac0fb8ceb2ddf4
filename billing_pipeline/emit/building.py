"""Builds events and their bytes: ids made once, `emitted_at` stamped once, so that every retry is the same event."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NotRequired, TypedDict

import msgspec
from msgspec import UNSET

from billing_pipeline.contract.events import SCHEMA_VERSION, AllocationShare, Correction, UsageEvent, encode
from billing_pipeline.contract.instants import datetime_of, instant_text
from billing_pipeline.contract.limits import PAYLOAD_BYTES
from billing_pipeline.contract.parsing import faults
from billing_pipeline.contract.plain_usage import plain_usage
from billing_pipeline.errors import EmitError, EventFault, EventFaultsError

Event = UsageEvent | Correction | Mapping[str, object]
"""What `emit` takes: a struct of `contract.events`, or the fields of an event or CloudEvent."""


class UsageFields(TypedDict):
    """What is told of a usage event; the client adds the rest."""

    customer_id: str
    project_id: str
    unit: str
    quantity: str | int | Decimal
    """An exact number: decimal text, an integer or a Decimal; never a float."""
    id: NotRequired[str]
    """A new one where it is left out. Derive it from the action wherever that may be told twice: it counts once."""
    source: NotRequired[str]
    """The client's where it is left out."""
    occurred_at: NotRequired[datetime | str]
    """An aware instant; now where it is left out."""
    correlation_id: NotRequired[str]
    """The request or trace; the id where it is left out."""
    dimensions: NotRequired[dict[str, str]]
    user_id: NotRequired[str]
    session_id: NotRequired[str]
    parent_id: NotRequired[str]
    step: NotRequired[str]
    billable: NotRequired[bool]
    reason_code: NotRequired[str]
    allocations: NotRequired[list[AllocationShare]]


def build_usage(fields: UsageFields, *, source: str | None, now_us: int) -> UsageEvent:
    """A usage event that happened now unless told otherwise.

    Raises:
        EmitError: neither the fields nor the client name a source.
    """
    named = fields.get("source", source)
    if named is None:
        raise EmitError("name the source of the event, or one for the client")
    given_id = fields.get("id") or str(uuid.uuid4())
    now = datetime_of(now_us)
    made: dict[str, Any] = {"occurred_at": now, "correlation_id": given_id, **fields}
    return UsageEvent(**made | {"id": given_id, "source": named, "emitted_at": now})


def payload_of(event: Event, *, source: str | None, now_us: int, validate: bool) -> bytes:
    """The event as it is sent, on one line.

    A mapping without `id`, `source`, `schema_version`, `type` or `emitted_at` gets them; a CloudEvent only id and
    source.

    Raises:
        EventFaultsError: it breaks the contract (with `validate`), is longer than 64 KiB, or is no JSON at all.
    """
    try:
        payload = _encoded(event, source, now_us)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"the event must be made of what JSON has: {error}"
        raise EventFaultsError([EventFault("invalid_json", "", None, message)]) from error
    if (validate and plain_usage(payload) is None) or len(payload) > PAYLOAD_BYTES:
        found = faults(payload)
        if found:
            raise EventFaultsError(
                [
                    EventFault(fault.reason_code.value, fault.field, fault.value, fault.message)
                    for fault in found
                ]
            )
    return payload


def _encoded(event: Event, source: str | None, now_us: int) -> bytes:
    if isinstance(event, UsageEvent):
        if event.emitted_at is UNSET:
            event = msgspec.structs.replace(event, emitted_at=datetime_of(now_us))
        return encode(event)
    if isinstance(event, Correction):
        return encode(event)
    fields: dict[str, object] = {"id": str(uuid.uuid4())}
    if source is not None:
        fields["source"] = source
    if "specversion" not in event:
        fields |= {"type": "usage", "schema_version": SCHEMA_VERSION, "emitted_at": instant_text(now_us)}
    return msgspec.json.encode(fields | dict(event))
