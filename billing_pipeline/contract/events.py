"""Typed events for producers: what a product fills in to send usage in our own JSON, schema version 2."""

from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from billing_pipeline.contract.decimals import plain

SCHEMA_VERSION = 2


class AllocationShare(msgspec.Struct, frozen=True):
    """One payer's share of a quantity, as decimal text."""

    customer_id: str
    project_id: str
    share: str


class UsageEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="usage", gc=False):
    """One action, one unit, one quantity. Instants are aware; a quantity is decimal text or an integer."""

    id: str
    source: str
    schema_version: int = SCHEMA_VERSION
    customer_id: str
    project_id: str
    user_id: str | UnsetType = UNSET
    occurred_at: datetime | str
    emitted_at: datetime | UnsetType = UNSET
    unit: str
    quantity: str | int | Decimal
    dimensions: dict[str, str] | UnsetType = UNSET
    correlation_id: str
    session_id: str | UnsetType = UNSET
    parent_id: str | UnsetType = UNSET
    step: str | UnsetType = UNSET
    billable: bool | UnsetType = UNSET
    reason_code: str | UnsetType = UNSET
    allocations: list[AllocationShare] | UnsetType = UNSET


class CorrectedEvent(msgspec.Struct, frozen=True):
    """The identity of the event that a correction changes."""

    source: str
    id: str


class Correction(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="correction", gc=False):
    """A change of what an earlier event counts for."""

    id: str
    source: str
    schema_version: int = SCHEMA_VERSION
    occurred_at: datetime | str
    corrects: CorrectedEvent
    action: Literal["void", "adjust", "replace"]
    reason_code: str
    quantity_delta: str | int | Decimal | UnsetType = UNSET
    replacement: dict[str, object] | UnsetType = UNSET
    note: str | UnsetType = UNSET
    correlation_id: str | UnsetType = UNSET


def encode(event: UsageEvent | Correction) -> bytes:
    """The event as it is sent; decimals become plain text, never a number with an exponent."""
    if isinstance(event, UsageEvent) and isinstance(event.quantity, Decimal):
        event = msgspec.structs.replace(event, quantity=plain(event.quantity))
    elif isinstance(event, Correction) and isinstance(event.quantity_delta, Decimal):
        event = msgspec.structs.replace(event, quantity_delta=plain(event.quantity_delta))
    return msgspec.json.encode(event)
