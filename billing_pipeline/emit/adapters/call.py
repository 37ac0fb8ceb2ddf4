"""A call to a provider with disjoint counts, and the usage events that it becomes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import TypeVar

from msgspec import UNSET

from billing_pipeline.contract import limits
from billing_pipeline.contract.events import UsageEvent
from billing_pipeline.emit.adapters.attribution import Attribution
from billing_pipeline.errors import ProviderUsageError

T = TypeVar("T")
TOKEN, CALL, TOOL_CALL = "token", "call", "tool_call"


@dataclass(frozen=True, kw_only=True)
class Call:
    """What a provider reports about one call; None is what it does not tell."""

    provider: str
    action_id: str | None
    model: str | None
    occurred_at: datetime | None
    step: str
    tokens: Mapping[str, int]
    """Disjoint counts by token class."""
    tool_calls: Mapping[str, int] = field(default_factory=dict)
    """Calls of the provider's own tools, by tool."""
    name: str | None = None
    """Set for a call within the one of this id, which keeps their events apart."""
    correlation_id: str | None = None
    dimensions: Mapping[str, str] = field(default_factory=dict)


def usage_events(call: Call, attribution: Attribution) -> tuple[UsageEvent, ...]:
    """One event per token class and tool that something was counted of; their ids follow from the call's id.

    Raises:
        ProviderUsageError: neither the call nor the attribution tells the id, the model or the time.
    """
    provider = attribution.provider or call.provider
    action_id = _given(provider, "id", attribution.action_id or call.action_id)
    occurred_at = _given(provider, "occurred_at", attribution.occurred_at or call.occurred_at)
    if occurred_at.tzinfo is None:
        raise ProviderUsageError(provider, "occurred_at", occurred_at, "have an offset from UTC")
    if not attribution.billable and attribution.reason_code is None:
        raise ProviderUsageError(provider, "reason_code", None, "be given where a call is not billable")
    common = {**attribution.dimensions, **call.dimensions, "provider": provider}
    counted = [
        (tool, CALL, count, common | {"tool": tool}) for tool, count in call.tool_calls.items() if count
    ]
    for token_class, count in call.tokens.items():
        if count:
            model = _given(provider, "model", attribution.model or call.model)
            dimensions = common | {"model": model, "token_class": token_class}
            counted.append((token_class, TOKEN, count, dimensions))
    return tuple(
        UsageEvent(
            id=event_id(action_id, f"{call.name}.{name}" if call.name else name),
            source=attribution.source,
            customer_id=attribution.customer_id,
            project_id=attribution.project_id,
            user_id=attribution.user_id or UNSET,
            occurred_at=occurred_at,
            unit=unit,
            quantity=str(count),
            dimensions=dict(sorted(dimensions.items())),
            correlation_id=_short(
                attribution.correlation_id or call.correlation_id or action_id, limits.TRACE_CHARACTERS
            ),
            session_id=attribution.session_id or UNSET,
            parent_id=attribution.parent_id or UNSET,
            step=attribution.step or (TOOL_CALL if unit == CALL else call.step),
            billable=attribution.billable,
            reason_code=UNSET if attribution.reason_code is None else attribution.reason_code.value,
            allocations=list(attribution.allocations) or UNSET,
        )
        for name, unit, count, dimensions in sorted(counted, key=lambda each: each[:2])
    )


def event_id(action_id: str, name: str) -> str:
    """The call's id and what is counted; an id that is too long for the contract is replaced by its hash."""
    return f"{_short(action_id, limits.ID_CHARACTERS - len(name) - 1)}:{name}"


def _short(text: str, characters: int) -> str:
    return text if len(text) <= characters else sha256(text.encode()).hexdigest()


def _given(provider: str, field: str, value: T | None) -> T:
    if value is None:
        raise ProviderUsageError(
            provider, field, None, "be told by the report, or by the attribution where it does not tell"
        )
    return value
