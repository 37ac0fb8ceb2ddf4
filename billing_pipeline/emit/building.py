"""Builds events and their bytes: ids made once, `emitted_at` stamped once, so that every retry is the same event."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import msgspec
from msgspec import UNSET, UnsetType

from billing_pipeline.contract.events import SCHEMA_VERSION, AllocationShare, Correction, UsageEvent, encode
from billing_pipeline.contract.instants import datetime_of, instant_text
from billing_pipeline.contract.limits import PAYLOAD_BYTES
from billing_pipeline.contract.parsing import faults
from billing_pipeline.contract.plain_usage import plain_usage
from billing_pipeline.errors import EventFault, EventFaultsError

Event = UsageEvent | Correction | Mapping[str, object]
"""What `emit` takes: a struct of `contract.events`, or the fields of an event or CloudEvent."""


def build_usage(
    *,
    now_us: int,
    source: str,
    customer_id: str,
    project_id: str,
    unit: str,
    quantity: str | int | Decimal,
    event_id: str | None = None,
    occurred_at: datetime | str | None = None,
    correlation_id: str | None = None,
    dimensions: Mapping[str, str] | None = None,
    user_id: str | None = None,
    session_id: str | None = None,
    parent_id: str | None = None,
    step: str | None = None,
    billable: bool | None = None,
    reason_code: str | None = None,
    allocations: Sequence[AllocationShare] | None = None,
) -> UsageEvent:
    """A usage event that happened now unless told otherwise.

    Args:
        now_us: UTC microseconds.
        source: the producer.
        customer_id: who pays.
        project_id: for what.
        unit: what is counted.
        quantity: how much; an exact number.
        event_id: the event's id; a new one where it is left out. Derive it from the action wherever the action may be
            told twice, so that it counts once.
        occurred_at: an aware instant; now where it is left out.
        correlation_id: the request or trace; the id where it is left out.
        dimensions: model, provider, token class, …
        user_id: who used it.
        session_id: the agent run.
        parent_id: the event or step that caused this one.
        step: completion, embedding, tool_call, …
        billable: whether it counts; it does where this is left out.
        reason_code: why it does not, or came about.
        allocations: the payers, where there are several.
    """
    given_id = event_id or str(uuid.uuid4())
    return UsageEvent(
        id=given_id,
        source=source,
        customer_id=customer_id,
        project_id=project_id,
        unit=unit,
        quantity=quantity,
        occurred_at=occurred_at or datetime_of(now_us),
        emitted_at=datetime_of(now_us),
        correlation_id=correlation_id or given_id,
        dimensions=dict(dimensions) if dimensions else UNSET,
        user_id=_unset(user_id),
        session_id=_unset(session_id),
        parent_id=_unset(parent_id),
        step=_unset(step),
        billable=UNSET if billable is None else billable,
        reason_code=_unset(reason_code),
        allocations=list(allocations) if allocations else UNSET,
    )


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


def _unset(value: str | None) -> str | UnsetType:
    return UNSET if value is None else value
