"""The bodies of requests to the guard, field by field: what they do not know is refused, not left out."""

from typing import Protocol

import msgspec

from billing_pipeline.errors import GuardRequestError
from billing_pipeline.guardrails.nano import LARGEST_AMOUNT
from billing_pipeline.guardrails.requests import Extend, Release, Reserve, Settle
from billing_pipeline.guardrails.usage import Usage

AMOUNT_PATTERN = "^[0-9]{1,19}$"
_DIGITS = len(str(LARGEST_AMOUNT))


class UsageBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """See `usage.Usage`."""

    unit: str
    quantity: str
    dimensions: dict[str, str] = {}
    source: str | None = None
    id: str | None = None


class Body(Protocol):
    """What a body says, as a request to the ledger."""

    def request(self) -> Reserve | Settle | Release | Extend:
        """The request; the ledger checks what is in its fields.

        Raises:
            GuardRequestError: the amount is not possible.
        """


class ReserveBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """See `requests.Reserve`; `amount` is text of a whole number."""

    customer_id: str
    project_id: str
    idempotency_key: str
    session_id: str | None = None
    amount: str | None = None
    usage: tuple[UsageBody, ...] = ()
    ttl_seconds: int | None = None
    steps: int = 1
    call: str | None = None
    user_id: str | None = None
    correlation_id: str | None = None
    step: str | None = None

    def request(self) -> Reserve:
        """As `Body`."""
        return Reserve(
            customer_id=self.customer_id,
            project_id=self.project_id,
            session_id=self.session_id,
            amount=_amount(self.amount),
            usage=_usage(self.usage),
            idempotency_key=self.idempotency_key,
            ttl_seconds=self.ttl_seconds,
            steps=self.steps,
            call=self.call,
            user_id=self.user_id,
            correlation_id=self.correlation_id,
            step=self.step,
        )


class SettleBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """See `requests.Settle`; `amount` is text of a whole number."""

    hold_id: str
    amount: str | None = None
    usage: tuple[UsageBody, ...] = ()
    idempotency_key: str = "settle"

    def request(self) -> Settle:
        """As `Body`."""
        return Settle(
            hold_id=self.hold_id,
            amount=_amount(self.amount),
            usage=_usage(self.usage),
            idempotency_key=self.idempotency_key,
        )


class ReleaseBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """See `requests.Release`."""

    hold_id: str
    idempotency_key: str = "release"

    def request(self) -> Release:
        """As `Body`."""
        return Release(hold_id=self.hold_id, idempotency_key=self.idempotency_key)


class ExtendBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """See `requests.Extend`."""

    hold_id: str
    ttl_seconds: int
    idempotency_key: str

    def request(self) -> Extend:
        """As `Body`."""
        return Extend(
            hold_id=self.hold_id, ttl_seconds=self.ttl_seconds, idempotency_key=self.idempotency_key
        )


def _amount(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS and int(text) <= LARGEST_AMOUNT):
        raise GuardRequestError(
            "amount", text, f"give nano-units as text of a whole number, 0 to {LARGEST_AMOUNT}"
        )
    return int(text)


def _usage(bodies: tuple[UsageBody, ...]) -> tuple[Usage, ...]:
    return tuple(
        Usage(
            unit=each.unit, quantity=each.quantity, dimensions=each.dimensions, source=each.source, id=each.id
        )
        for each in bodies
    )
