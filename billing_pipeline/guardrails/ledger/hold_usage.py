"""What a hold keeps of its usage, and the usage events that its settle sends."""

import msgspec

from billing_pipeline.contract.events import UsageEvent
from billing_pipeline.contract.instants import instant_text
from billing_pipeline.guardrails.ledger.rows import HoldRow
from billing_pipeline.guardrails.requests import Reserve
from billing_pipeline.guardrails.usage import Usage

GUARD_SOURCE = "guard"
"""The source of usage events to which the product gave no identity of its own."""


class HoldDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a hold keeps for the usage events of its settle."""

    user_id: str | None = None
    correlation_id: str | None = None
    step: str | None = None
    call: str | None = None


_ENCODER = msgspec.json.Encoder()
_DETAILS = msgspec.json.Decoder(HoldDetails)
_NO_DETAILS = HoldDetails()


def usage_text(usage: tuple[Usage, ...]) -> str:
    """An estimate in usage, as a hold keeps it."""
    return _ENCODER.encode(usage).decode() if usage else "[]"


def details_text(request: Reserve) -> str:
    """`HoldDetails` of a request, as a hold keeps them."""
    details = HoldDetails(request.user_id, request.correlation_id, request.step, request.call)
    if details == _NO_DETAILS:
        return "{}"
    return _ENCODER.encode(details).decode()


def usage_event(hold: HoldRow, index: int, usage: Usage) -> str:
    """The usage event of a settle, in the product's own identity where it gave one."""
    details = _DETAILS.decode(hold.details)
    fields: dict[str, object] = {
        "session_id": hold.session_id,
        "user_id": details.user_id,
        "step": details.step,
        "dimensions": usage.dimensions or None,
    }
    own = usage.id is not None
    event = UsageEvent(
        source=usage.source if own and usage.source is not None else GUARD_SOURCE,
        id=usage.id if usage.id is not None else f"{hold.hold_id}:{index}",
        customer_id=hold.customer_id,
        project_id=hold.project_id,
        occurred_at=instant_text(hold.granted_at),
        unit=usage.unit,
        quantity=usage.quantity,
        correlation_id=details.correlation_id or hold.hold_id,
        **{name: value for name, value in fields.items() if value is not None},  # type: ignore[arg-type]  # each is of its field's type
    )
    return _ENCODER.encode(event).decode()
