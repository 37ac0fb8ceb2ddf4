"""Makes log records of decoded events; the few rules that types cannot say are kept here for the fast path."""

import re

from msgspec import UNSET, Raw, UnsetType

from billing_pipeline.contract.allocation import WHOLE, share_units, split
from billing_pipeline.contract.canonical import (
    canonical_dimensions,
    canonical_form,
    canonical_json,
    digest_of,
    key_hash_of,
)
from billing_pipeline.contract.decimals import DELTA_PATTERN, QUANTITY_PATTERN, SHARE, normalized
from billing_pipeline.contract.instants import instant_us
from billing_pipeline.contract.log import LogRecord, PayloadFields
from billing_pipeline.contract.wire import Share, WireCorrection, WireReplacement, WireUsage

_QUANTITY = re.compile(rf'("?){QUANTITY_PATTERN}\1'.encode())
_DELTA = re.compile(rf'("?){DELTA_PATTERN}\1'.encode())


class RuleBrokenError(ValueError):
    """A decoded event breaks a rule of its values. Caught where events are parsed, which then lists all faults."""


def usage_record(event: WireUsage, payload: PayloadFields) -> LogRecord:
    """The record of a usage event.

    Args:
        event: decoded, its texts free of control characters.
        payload: the bytes as they came, as fields of the record.

    Raises:
        RuleBrokenError: a value breaks a rule that the types do not know.
    """
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
        or "/" in event.customer_id
        or (shares and not _are_whole(shares))
    ):
        raise RuleBrokenError
    form: dict[str, object] = {
        "allocations": [_share_form(share) for share in shares] if shares else None,
        "billable": None if billable else False,
        "correlation_id": event.correlation_id,
        "customer_id": event.customer_id,
        "dimensions": None if dimensions == "{}" else Raw(dimensions),
        "id": event.id,
        "occurred_at": occurred_at,
        "parent_id": parent_id,
        "project_id": event.project_id,
        "quantity": quantity,
        "reason_code": reason_code,
        "session_id": session_id,
        "source": event.source,
        "step": step,
        "type": "usage",
        "unit": event.unit,
        "user_id": user_id,
    }
    return LogRecord(
        kind="usage",
        source=event.source,
        id=event.id,
        schema_version=event.schema_version,
        payload_digest=digest_of(canonical_form(form)),
        key_hash=key_hash_of(event.source, event.id),
        occurred_at=occurred_at,
        emitted_at=emitted_at,
        customer_id=event.customer_id,
        project_id=event.project_id,
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
    delta = None if _is_null(event.quantity_delta) else _decimal(event.quantity_delta, _DELTA)
    replacement = _replacement_form(event.replacement) if event.replacement else None
    if (delta is not None) != (event.action == "adjust") or (replacement is not None) != (
        event.action == "replace"
    ):
        raise RuleBrokenError
    form: dict[str, object] = {
        "action": event.action,
        "correlation_id": event.correlation_id or None,
        "corrects": {"id": event.corrects.id, "source": event.corrects.source},
        "id": event.id,
        "note": event.note or None,
        "occurred_at": occurred_at,
        "quantity_delta": delta,
        "reason_code": event.reason_code,
        "replacement": replacement,
        "source": event.source,
        "type": "correction",
    }
    return LogRecord(
        kind="correction",
        source=event.source,
        id=event.id,
        schema_version=event.schema_version,
        payload_digest=digest_of(canonical_form(form)),
        key_hash=key_hash_of(event.source, event.id),
        occurred_at=occurred_at,
        emitted_at=emitted_at,
        correlation_id=event.correlation_id or None,
        reason_code=event.reason_code,
        corrects_source=event.corrects.source,
        corrects_id=event.corrects.id,
        action=event.action,
        quantity_delta=delta,
        replacement=canonical_json(replacement).decode() if replacement else None,
        note=event.note or None,
        **payload,
    )


def _instants(event: WireUsage | WireCorrection) -> tuple[int, int | None]:
    """occurred_at and emitted_at; received_at is only looked at, for it is ours to give."""
    _instant(event.received_at)
    occurred_at = _instant(event.occurred_at)
    if occurred_at is None:
        raise RuleBrokenError
    return occurred_at, _instant(event.emitted_at)


def _instant(text: str | UnsetType | None) -> int | None:
    if not isinstance(text, str):
        return None
    microseconds = instant_us(text)
    if microseconds is None:
        raise RuleBrokenError
    return microseconds


def _is_null(value: Raw | UnsetType) -> bool:
    return value is UNSET or bytes(value) == b"null"


def _decimal(raw: Raw | UnsetType, pattern: re.Pattern[bytes]) -> str:
    text = b"" if isinstance(raw, UnsetType) else bytes(raw)
    if pattern.fullmatch(text) is None:
        raise RuleBrokenError
    return normalized(text.strip(b'"').decode("ascii"))


def _replacement_form(replacement: WireReplacement) -> dict[str, object]:
    dimensions = replacement.dimensions
    form: dict[str, object] = {
        "billable": None if replacement.billable is UNSET else replacement.billable,
        "customer_id": replacement.customer_id or None,
        "dimensions": dict(sorted(dimensions.items())) if isinstance(dimensions, dict) else None,
        "project_id": replacement.project_id or None,
        "quantity": None if _is_null(replacement.quantity) else _decimal(replacement.quantity, _QUANTITY),
        "unit": replacement.unit or None,
    }
    form = {key: value for key, value in form.items() if value is not None}
    if not form or "/" in (replacement.customer_id or ""):
        raise RuleBrokenError
    return form


def _are_whole(shares: list[Share]) -> bool:
    """Whether every share is well written and above zero, and all of them add up to exactly 1."""
    units = [share_units(share.share) if SHARE.fullmatch(share.share) else 0 for share in shares]
    return all(units) and sum(units) == WHOLE and not any("/" in share.customer_id for share in shares)


def _share_form(share: Share) -> dict[str, str]:
    return {
        "customer_id": share.customer_id,
        "project_id": share.project_id,
        "share": normalized(share.share),
    }


def _allocations(shares: list[Share], quantity: str) -> str:
    parts = split(quantity, [share.share for share in shares])
    rows = [_share_form(share) | {"quantity": part} for share, part in zip(shares, parts, strict=True)]
    return canonical_json(rows).decode()
