"""What the log's lines say of usage, as far as the guard needs it. Nothing else of a line is parsed."""

from hashlib import sha256

import msgspec
from msgspec import UNSET, UnsetType

from billing_pipeline.contract.decimals import normalized
from billing_pipeline.contract.instants import instant_us
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.log_lines import PLAIN
from billing_pipeline.contract.records import AllocatedShare
from billing_pipeline.guardrails.usage import Usage

_RECORD = msgspec.json.Decoder(LogRecord)
_DIMENSIONS = msgspec.json.Decoder(dict[str, str])
_SHARES = msgspec.json.Decoder(list[AllocatedShare])


class _Plain(msgspec.Struct, gc=False):
    """A plain usage event has been checked at the door; these are the fields that count here."""

    id: str
    source: str
    customer_id: str
    project_id: str
    occurred_at: str
    unit: str
    quantity: int | str
    correlation_id: str
    dimensions: dict[str, str] | UnsetType | None = UNSET
    session_id: str | UnsetType | None = UNSET
    billable: bool | UnsetType | None = UNSET


_PLAIN = msgspec.json.Decoder(_Plain)


class Payer(msgspec.Struct, frozen=True, gc=False):
    """Who pays how much of an event: all of it, or a share."""

    customer_id: str
    project_id: str
    usage: Usage


class SeenUsage(msgspec.Struct, frozen=True, gc=False):
    """A usage event of the log. `occurred_at` is UTC µs.

    Attributes:
        key: of its identity; see `event_key`.
    """

    key: str
    occurred_at: int
    session_id: str | None
    correlation_id: str
    is_billable: bool
    payers: tuple[Payer, ...]


def event_key(source: str, event_id: str) -> str:
    """The identity of an event as guard_watched_events has it: 128 bits of SHA-256 in hex."""
    return sha256(f"{source}\0{event_id}".encode()).hexdigest()[:32]


def seen_usage(line: bytes) -> SeenUsage | None:
    """The usage event of a line of the log; None for anything else: corrections, control records, invalid ones."""
    if line.startswith(PLAIN):
        return _of_plain(_PLAIN.decode(line[len(PLAIN) :]))
    record = _RECORD.decode(line)
    return _of_record(record) if record.kind == "usage" else None


def _of_plain(event: _Plain) -> SeenUsage | None:
    occurred_at = instant_us(event.occurred_at)
    if occurred_at is None:
        return None
    usage = Usage(
        unit=event.unit, quantity=normalized(str(event.quantity)), dimensions=event.dimensions or {}
    )
    return SeenUsage(
        event_key(event.source, event.id),
        occurred_at,
        event.session_id or None,
        event.correlation_id,
        event.billable is not False,
        (Payer(event.customer_id, event.project_id, usage),),
    )


def _of_record(record: LogRecord) -> SeenUsage | None:
    if record.source is None or record.id is None or record.occurred_at is None:
        return None
    dimensions = _DIMENSIONS.decode(record.dimensions or "{}")
    parts = (
        [(record.customer_id, record.project_id, record.quantity)]
        if record.allocations is None
        else [
            (share.customer_id, share.project_id, share.quantity)
            for share in _SHARES.decode(record.allocations)
        ]
    )
    return SeenUsage(
        event_key(record.source, record.id),
        record.occurred_at,
        record.session_id,
        record.correlation_id or "",
        record.billable is not False,
        tuple(
            Payer(
                customer_id or "",
                project_id or "",
                Usage(unit=record.unit or "", quantity=quantity or "0", dimensions=dimensions),
            )
            for customer_id, project_id, quantity in parts
        ),
    )
