"""Makes log records of decoded events, and keeps the few rules of values that types cannot say."""

import re
from collections.abc import Sequence

import msgspec
from msgspec import Raw, UnsetType

from billing_pipeline.contract.allocation import WHOLE, share_units, split, split_event
from billing_pipeline.contract.canonical import (
    CorrectionForm,
    CorrectsForm,
    ReplacementForm,
    ShareForm,
    UsageForm,
    canonical_dimensions,
    canonical_json,
    digest_of,
    key_hash_of,
)
from billing_pipeline.contract.decimals import DELTA_PATTERN, QUANTITY_PATTERN, SHARE, normalized
from billing_pipeline.contract.instants import instant_us
from billing_pipeline.contract.log import LogRecord, PayloadFields
from billing_pipeline.contract.wire import Share, WireCorrection, WireReplacement, WireUsage

_QUANTITY = re.compile(QUANTITY_PATTERN, re.ASCII)
_DELTA = re.compile(DELTA_PATTERN, re.ASCII)


class RuleBrokenError(ValueError):
    """A value of a decoded event breaks a rule. Caught where events are parsed, to list all faults."""


class AllocatedShare(msgspec.Struct, frozen=True):
    """One payer's part of an event, as the record keeps it.

    `event_share` is the part of the event itself, which meters that count events add: the shares cut down to nine
    fractional digits, so that they add up to exactly 1.
    """

    allocation_index: int
    customer_id: str
    project_id: str
    share: str
    quantity: str
    event_share: str


def usage_record(event: WireUsage, payload: PayloadFields) -> LogRecord:
    """The record of a usage event.

    Args:
        event: decoded, its texts free of control characters.
        payload: the bytes as they came, as fields of the record.

    Raises:
        RuleBrokenError: a value breaks a rule that the types do not know.
    """
    event_id, source, customer_id, project_id = event.id, event.source, event.customer_id, event.project_id
    occurred_at, emitted_at = _instants(event)
    quantity = _decimal(event.quantity, _QUANTITY)
    dimensions = canonical_dimensions(event.dimensions or None)
    billable = event.billable is not False
    user_id, step, reason_code = event.user_id or None, event.step or None, event.reason_code or None
    session_id, parent_id, shares = (
        event.session_id or None,
        event.parent_id or None,
        event.allocations or None,
    )
    if (
        (not billable and reason_code is None)
        or (event.schema_version == 1 and (session_id or parent_id or shares))
        or "/" in customer_id
        or (shares and not _are_whole(shares))
    ):
        raise RuleBrokenError
    form = UsageForm(
        allocations=[_share_form(share) for share in shares] if shares else None,
        billable=billable,
        correlation_id=event.correlation_id,
        customer_id=customer_id,
        dimensions=None if dimensions == "{}" else Raw(dimensions),
        id=event_id,
        occurred_at=occurred_at,
        parent_id=parent_id,
        project_id=project_id,
        quantity=quantity,
        reason_code=reason_code,
        session_id=session_id,
        source=source,
        step=step,
        type="usage",
        unit=event.unit,
        user_id=user_id,
    )
    return LogRecord(
        kind="usage",
        source=source,
        id=event_id,
        schema_version=event.schema_version,
        payload_digest=digest_of(form),
        key_hash=key_hash_of(source, event_id),
        occurred_at=occurred_at,
        emitted_at=emitted_at,
        customer_id=customer_id,
        project_id=project_id,
        user_id=user_id,
        unit=event.unit,
        quantity=quantity,
        dimensions=dimensions,
        correlation_id=event.correlation_id,
        session_id=session_id,
        parent_id=parent_id,
        step=step,
        billable=billable,
        reason_code=reason_code,
        allocations=_allocations(shares, quantity) if shares else None,
        **payload,
    )


def correction_record(event: WireCorrection, payload: PayloadFields) -> LogRecord:
    """The record of a correction; arguments and errors as for a usage event."""
    occurred_at, emitted_at = _instants(event)
    delta = _optional_decimal(event.quantity_delta, _DELTA)
    replacement = _replacement_form(event.replacement) if event.replacement else None
    wanted = (event.action == "adjust", event.action == "replace")
    if (delta is not None, replacement is not None) != wanted:
        raise RuleBrokenError
    form = CorrectionForm(
        action=event.action,
        correlation_id=event.correlation_id or None,
        corrects=CorrectsForm(id=event.corrects.id, source=event.corrects.source),
        id=event.id,
        note=event.note or None,
        occurred_at=occurred_at,
        quantity_delta=delta,
        reason_code=event.reason_code,
        replacement=replacement,
        source=event.source,
        type="correction",
    )
    return LogRecord(
        kind="correction",
        source=event.source,
        id=event.id,
        schema_version=event.schema_version,
        payload_digest=digest_of(form),
        key_hash=key_hash_of(event.source, event.id),
        occurred_at=occurred_at,
        emitted_at=emitted_at,
        correlation_id=form.correlation_id,
        reason_code=event.reason_code,
        corrects_source=event.corrects.source,
        corrects_id=event.corrects.id,
        corrects_key_hash=key_hash_of(event.corrects.source, event.corrects.id),
        action=event.action,
        quantity_delta=delta,
        replacement=canonical_json(replacement).decode() if replacement else None,
        note=form.note,
        **payload,
    )


def _instants(event: WireUsage | WireCorrection) -> tuple[int, int | None]:
    """occurred_at and emitted_at; received_at is only looked at, for it is ours to give."""
    if isinstance(event.received_at, str):
        _instant(event.received_at)
    return _instant(event.occurred_at), _instant(event.emitted_at) if isinstance(
        event.emitted_at, str
    ) else None


def _instant(text: str) -> int:
    microseconds = instant_us(text)
    if microseconds is None:
        raise RuleBrokenError
    return microseconds


def _decimal(value: int | str, pattern: re.Pattern[str]) -> str:
    text = value if isinstance(value, str) else str(value)
    if pattern.fullmatch(text) is None:
        raise RuleBrokenError
    return normalized(text)


def _optional_decimal(value: int | str | UnsetType | None, pattern: re.Pattern[str]) -> str | None:
    return None if isinstance(value, UnsetType) or value is None else _decimal(value, pattern)


def _replacement_form(replacement: WireReplacement) -> ReplacementForm:
    dimensions, billable = replacement.dimensions, replacement.billable
    form = ReplacementForm(
        billable=billable if isinstance(billable, bool) else None,
        customer_id=replacement.customer_id or None,
        dimensions=Raw(canonical_dimensions(dimensions)) if isinstance(dimensions, dict) else None,
        project_id=replacement.project_id or None,
        quantity=_optional_decimal(replacement.quantity, _QUANTITY),
        unit=replacement.unit or None,
    )
    if form == ReplacementForm() or "/" in (form.customer_id or ""):
        raise RuleBrokenError
    return form


def _are_whole(shares: list[Share]) -> bool:
    """Whether every share is well written and above zero, and all of them add up to exactly 1."""
    units = [share_units(share.share) if SHARE.fullmatch(share.share) else 0 for share in shares]
    return all(units) and sum(units) == WHOLE and not any("/" in share.customer_id for share in shares)


def _share_form(share: Share) -> ShareForm:
    return ShareForm(
        customer_id=share.customer_id, project_id=share.project_id, share=normalized(share.share)
    )


def _allocations(shares: list[Share], quantity: str) -> str:
    payers = [(share.customer_id, share.project_id, normalized(share.share)) for share in shares]
    return msgspec.json.encode(allocated(payers, quantity)).decode()


def allocated(payers: Sequence[tuple[str, str, str]], quantity: str) -> list[AllocatedShare]:
    """Each payer's part of an event.

    Args:
        payers: customer, project and share (normalized decimal text) of each; the shares add up to exactly 1.
        quantity: normalized decimal text.
    """
    shares = [share for _, _, share in payers]
    parts = zip(payers, split(quantity, shares), split_event(shares), strict=True)
    return [
        AllocatedShare(index, *payer, part, event_share)
        for index, (payer, part, event_share) in enumerate(parts)
    ]
