"""What every adapter does with a call: which word counts where several tell it, and what is refused."""

from dataclasses import replace
from datetime import datetime

import pytest

from billing_pipeline.contract.events import AllocationShare, encode
from billing_pipeline.contract.parsing import parse
from billing_pipeline.contract.reason_codes import UsageReason
from billing_pipeline.emit.adapters.attribution import Attribution
from billing_pipeline.emit.adapters.call import Call, usage_events
from billing_pipeline.errors import ProviderUsageError

CALL = Call(
    provider="openai",
    action_id="r",
    model="m",
    occurred_at=None,
    step="completion",
    tokens={"output": 5},
    dimensions={"service_tier": "flex"},
)


def test_the_attribution_comes_before_the_report(attribution: Attribution) -> None:
    """But for dimensions: those of the report say what was counted."""
    told = replace(
        attribution,
        action_id="mine",
        model="our-model",
        provider="azure",
        step="agent_step",
        correlation_id="request-1",
        dimensions={"service_tier": "other", "token_class": "other", "region": "eu"},
    )
    (event,) = usage_events(CALL, told)
    assert (event.id, event.step, event.correlation_id) == ("mine:output", "agent_step", "request-1")
    assert event.dimensions == {
        "model": "our-model",
        "provider": "azure",
        "region": "eu",
        "service_tier": "flex",
        "token_class": "output",
    }


def test_what_is_told_of_the_call_is_in_every_event(attribution: Attribution) -> None:
    """User, session, parent, reason and shares; and the contract takes them."""
    shares = [AllocationShare("acme", "bot", "0.25"), AllocationShare("globex", "bot", "0.75")]
    told = replace(
        attribution,
        user_id="ann",
        session_id="run-7",
        parent_id="step-3",
        billable=False,
        reason_code=UsageReason.INTERNAL_RETRY,
        allocations=shares,
    )
    for event in usage_events(replace(CALL, tool_calls={"web_search": 2}), told):
        assert parse(encode(event)).kind == "usage"
        assert (event.user_id, event.session_id, event.parent_id) == ("ann", "run-7", "step-3")
        assert (event.billable, event.reason_code, event.allocations) == (False, "internal_retry", shares)


def test_a_reason_that_was_given_stays_when_the_call_fails(attribution: Attribution) -> None:
    assert attribution.failed().reason_code == "provider_error"
    test = replace(attribution, billable=False, reason_code=UsageReason.TEST)
    assert test.failed().reason_code == "test"


def test_a_call_that_is_not_billable_needs_a_reason(attribution: Attribution) -> None:
    with pytest.raises(ProviderUsageError, match="reason_code must be given"):
        usage_events(CALL, replace(attribution, billable=False))


def test_a_time_without_an_offset_is_refused(attribution: Attribution) -> None:
    """It would be another instant on another machine."""
    naive = datetime(2026, 10, 20)  # noqa: DTZ001 - that is the point
    with pytest.raises(ProviderUsageError, match="offset from UTC"):
        usage_events(CALL, replace(attribution, occurred_at=naive))
