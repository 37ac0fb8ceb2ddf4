"""The events as they are written, as types: what decodes into these is right but for a few rules on values.

Fields that may be absent default to UNSET; null means the same as absent.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from billing_pipeline.contract import limits

Id = Annotated[str, Meta(min_length=1, max_length=limits.ID_CHARACTERS)]
Source = Annotated[str, Meta(min_length=1, max_length=limits.SOURCE_CHARACTERS)]
Trace = Annotated[str, Meta(min_length=1, max_length=limits.TRACE_CHARACTERS)]
Unit = Annotated[str, Meta(min_length=1, max_length=limits.UNIT_CHARACTERS)]
Note = Annotated[str, Meta(min_length=1, max_length=limits.NOTE_CHARACTERS)]
DimensionKey = Annotated[str, Meta(min_length=1, max_length=limits.DIMENSION_KEY_CHARACTERS)]
DimensionValue = Annotated[str, Meta(min_length=1, max_length=limits.DIMENSION_VALUE_CHARACTERS)]
Dimensions = Annotated[dict[DimensionKey, DimensionValue], Meta(max_length=limits.DIMENSIONS)]

UsageReasonText = Literal[
    "customer_usage",
    "internal_retry",
    "provider_error",
    "system_error",
    "free_tier",
    "trial",
    "test",
    "goodwill",
]
CorrectionReasonText = Literal[
    "metering_error",
    "wrong_customer",
    "duplicate_emission",
    "service_failure",
    "test_traffic",
    "goodwill",
    "dispute",
]


class Share(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One payer's share of a quantity, as decimal text."""

    customer_id: Id
    project_id: Id
    share: str


Shares = Annotated[list[Share], Meta(min_length=1, max_length=limits.SHARES)]


class WireUsage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A usage event. A quantity is text or an integer; a number with a point or exponent does not decode."""

    id: Id
    source: Source
    type: Literal["usage"]
    schema_version: Literal[1, 2]
    customer_id: Id
    project_id: Id
    occurred_at: str
    unit: Unit
    quantity: int | str
    correlation_id: Trace
    user_id: Id | UnsetType | None = UNSET
    emitted_at: str | UnsetType | None = UNSET
    received_at: str | UnsetType | None = UNSET
    dimensions: Dimensions | UnsetType | None = UNSET
    session_id: Trace | UnsetType | None = UNSET
    parent_id: Trace | UnsetType | None = UNSET
    step: Unit | UnsetType | None = UNSET
    billable: bool | UnsetType | None = UNSET
    reason_code: UsageReasonText | UnsetType | None = UNSET
    allocations: Shares | UnsetType | None = UNSET


class Corrects(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The identity of the event that a correction changes."""

    source: Source
    id: Id


class WireReplacement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """What a `replace` puts in the place of an event's effective state."""

    customer_id: Id | UnsetType | None = UNSET
    project_id: Id | UnsetType | None = UNSET
    unit: Unit | UnsetType | None = UNSET
    dimensions: Dimensions | UnsetType | None = UNSET
    billable: bool | UnsetType | None = UNSET
    quantity: int | str | UnsetType | None = UNSET


class WireCorrection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A correction. It has no customer, unit or quantity of its own."""

    id: Id
    source: Source
    type: Literal["correction"]
    schema_version: Literal[1, 2]
    occurred_at: str
    corrects: Corrects
    action: Literal["void", "adjust", "replace"]
    reason_code: CorrectionReasonText
    emitted_at: str | UnsetType | None = UNSET
    received_at: str | UnsetType | None = UNSET
    quantity_delta: int | str | UnsetType | None = UNSET
    replacement: WireReplacement | UnsetType | None = UNSET
    note: Note | UnsetType | None = UNSET
    correlation_id: Trace | UnsetType | None = UNSET
