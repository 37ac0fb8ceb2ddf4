"""What the ledger takes in: every text and number of a request is bounded before anything is asked of the database."""

import re

import msgspec

from billing_pipeline.contract.door import admit
from billing_pipeline.contract.events import UsageEvent
from billing_pipeline.contract.limits import (
    ID_CHARACTERS,
    NOTE_CHARACTERS,
    SOURCE_CHARACTERS,
    TRACE_CHARACTERS,
)
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.errors import GuardRequestError
from billing_pipeline.guardrails.commands import (
    AddGrant,
    Command,
    CountUnguarded,
    DecideReview,
    ExpireDue,
    Lift,
    SetLimit,
    Stop,
    TrueUp,
    VoidGrant,
)
from billing_pipeline.guardrails.nano import LARGEST_AMOUNT
from billing_pipeline.guardrails.requests import Extend, Release, Request, Reserve, Settle
from billing_pipeline.guardrails.usage import Usage
from billing_pipeline.rating.money import is_currency

USAGE_MOST = 16
"""Quantities in one estimate or settle."""
STEPS_MOST = 1_000_000
HOLD_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
SCOPE = re.compile(r"customer:[^/]+|(?:project|session):[^/]+/.+", re.ASCII | re.DOTALL)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ENCODER = msgspec.json.Encoder()
_AN_INSTANT = "2026-01-01T00:00:00Z"


def check(request: Request | Command) -> None:
    """Check all fields.

    Raises:
        GuardRequestError: one is not possible; names it, its value, and what to do.
    """
    match request:
        case Reserve():
            _check_reserve(request)
        case Settle():
            _check_end(request.hold_id, request.idempotency_key)
            _check_amount_or_usage(request.amount, request.usage)
            for index, usage in enumerate(request.usage):
                _check_event(usage, index)
        case Release():
            _check_end(request.hold_id, request.idempotency_key)
        case Extend():
            _check_end(request.hold_id, request.idempotency_key)
            _check_whole("ttl_seconds", request.ttl_seconds, 1, LARGEST_AMOUNT)
        case CountUnguarded() | ExpireDue():
            pass  # the guard's own
        case _:
            _check_command(request)


def _check_reserve(request: Reserve) -> None:
    _check_customer(request.customer_id)
    _check_text("project_id", request.project_id, ID_CHARACTERS)
    _check_text("idempotency_key", request.idempotency_key, TRACE_CHARACTERS)
    if request.session_id is not None:
        _check_text("session_id", request.session_id, TRACE_CHARACTERS)
    if request.call is not None:
        _check_text("call", request.call, TRACE_CHARACTERS)
    if request.user_id is not None:
        _check_text("user_id", request.user_id, ID_CHARACTERS)
    if request.correlation_id is not None:
        _check_text("correlation_id", request.correlation_id, TRACE_CHARACTERS)
    if request.step is not None:
        _check_text("step", request.step, ID_CHARACTERS)
    _check_whole("steps", request.steps, 1, STEPS_MOST)
    _check_amount_or_usage(request.amount, request.usage)


def _check_amount_or_usage(amount: int | None, usage: tuple[Usage, ...]) -> None:
    if (amount is None) == (not usage):
        raise GuardRequestError("amount", amount, "give either amount or usage")
    if amount is not None:
        _check_whole("amount", amount, 0, LARGEST_AMOUNT)
    if len(usage) > USAGE_MOST:
        raise GuardRequestError("usage", f"{len(usage)} quantities", f"give at most {USAGE_MOST}")


def _check_event(usage: Usage, index: int) -> None:
    """The usage event that a settle sends must be one that the log takes."""
    event = UsageEvent(
        source=usage.source or "guard",
        id=usage.id or "id",
        customer_id="c",
        project_id="p",
        occurred_at=_AN_INSTANT,
        unit=usage.unit,
        quantity=usage.quantity,
        correlation_id="c",
        dimensions=usage.dimensions,
    )
    if (usage.source is None) != (usage.id is None):
        raise GuardRequestError(f"usage[{index}].id", usage.id, "give source and id, or neither")
    found = admit(_ENCODER.encode(event))
    if isinstance(found, LogRecord):
        field = found.fault_field or "usage"
        raise GuardRequestError(
            f"usage[{index}].{field}", found.fault_value, found.fault_message or "is not possible"
        )


def _check_command(command: Command) -> None:
    fields = {name: getattr(command, name) for name in command.__struct_fields__}
    for name, value in fields.items():
        match name:
            case "scope":
                _check_scope(value)
            case "customer_id":
                _check_customer(value)
            case "who":
                _check_text(name, value, SOURCE_CHARACTERS)
            case "why":
                _check_text(name, value, NOTE_CHARACTERS)
            case "grant_id" | "reference":
                _check_text(name, value, SOURCE_CHARACTERS)
    match command:
        case SetLimit() | AddGrant() | VoidGrant() | TrueUp():
            if not is_currency(command.currency):
                raise GuardRequestError("currency", command.currency, "give a code of ISO 4217 in lower case")
        case Stop() | Lift() | DecideReview():
            pass


def _check_scope(scope: str) -> None:
    _check_text("scope", scope, len("session:/") + ID_CHARACTERS + TRACE_CHARACTERS)
    if not SCOPE.fullmatch(scope):
        raise GuardRequestError(
            "scope", scope, "write customer:ID, project:CUSTOMER/ID or session:CUSTOMER/ID"
        )


def _check_customer(customer_id: str) -> None:
    _check_text("customer_id", customer_id, ID_CHARACTERS)
    if "/" in customer_id:
        raise GuardRequestError("customer_id", customer_id, "must have no slash")


def _check_end(hold_id: str, idempotency_key: str) -> None:
    if not HOLD_ID.fullmatch(hold_id):
        raise GuardRequestError("hold_id", hold_id, "give the 32 hex digits that reserve answered")
    _check_text("idempotency_key", idempotency_key, TRACE_CHARACTERS)


def _check_text(name: str, value: str, characters: int) -> None:
    # The first question is quick and settles nearly all.
    if not 0 < len(value) <= characters or not (value.isprintable() or not _UNPRINTABLE.search(value)):
        raise GuardRequestError(
            name, value, f"give 1 to {characters} characters, none of them a control character"
        )


def _check_whole(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise GuardRequestError(name, value, f"give a whole number, {least} to {most}")
