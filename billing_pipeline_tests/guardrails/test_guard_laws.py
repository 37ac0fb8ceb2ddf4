"""Laws of what products call: a hold ends once whatever its body does and whatever the network loses."""

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing_pipeline.errors import GuardError, GuardUnavailableError
from billing_pipeline.guardrails.async_guard import AsyncGuard
from billing_pipeline.guardrails.calling.http_calls import Patience
from billing_pipeline.guardrails.client import GuardClient
from billing_pipeline.guardrails.guard import Guard
from billing_pipeline.guardrails.requests import Release, Settle
from billing_pipeline_tests.emit.scripted_gateway import failed, serving
from billing_pipeline_tests.guardrails.scripted_guard import DROPPED, LOST, ScriptedGuard
from billing_pipeline_tests.guardrails.told_ledger import ToldLedger

ESTIMATE = 100
Deed = tuple[str, int]

DEEDS = st.lists(
    st.tuples(st.just("settle"), st.sampled_from([0, 40, 100, 150]))
    | st.tuples(st.sampled_from(["release", "extend", "lose", "raise"]), st.just(60)),
    max_size=6,
)


class BodyError(Exception):
    """What the body raises."""


def fail() -> None:
    raise BodyError


def run(ledger: ToldLedger, deeds: list[Deed], on_error: Any) -> str:
    """Does the deeds in a hold's block; returns what left it. `lose` has the next request fail."""
    try:
        with Guard(ledger).hold("acme", "p", estimate=ESTIMATE, on_error=on_error) as hold:
            for name, number in deeds:
                match name:
                    case "settle":
                        hold.settle(number)
                    case "release":
                        hold.release()
                    case "extend":
                        hold.extend(number)
                    case "lose":
                        ledger.failures = [GuardUnavailableError("lost")]
                    case _:
                        fail()
    except (BodyError, GuardError) as error:
        return type(error).__name__
    return ""


async def run_async(ledger: ToldLedger, deeds: list[Deed], on_error: Any) -> str:
    """As `run`, in an event loop."""
    guard = AsyncGuard(ledger)
    try:
        async with guard.hold("acme", "p", estimate=ESTIMATE, on_error=on_error) as hold:
            for name, number in deeds:
                match name:
                    case "settle":
                        await hold.settle(number)
                    case "release":
                        await hold.release()
                    case "extend":
                        await hold.extend(number)
                    case "lose":
                        ledger.failures = [GuardUnavailableError("lost")]
                    case _:
                        fail()
    except (BodyError, GuardError) as error:
        return type(error).__name__
    return ""


def told(ledger: ToldLedger) -> list[Any]:
    """The requests, but for keys that are made anew each time."""
    return [(type(each), getattr(each, "amount", None)) for each in ledger.requests]


@settings(deadline=None, max_examples=300)
@given(DEEDS, st.sampled_from(["release", "settle"]))
def test_a_hold_ends_once_and_gives_nothing_back_that_ran(deeds: list[Deed], on_error: Any) -> None:
    """It stays open only where ending it failed; and an event loop does the same as threads."""
    ledger = ToldLedger(1000)
    left_by = run(ledger, deeds, on_error)
    ends = [each for each in ledger.requests if isinstance(each, Settle | Release)]
    assert ends, "leaving the block ends the hold, or the body tried to"
    if not ledger.open:
        booked = 1000 - ledger.available
        amounts = [each.amount for each in ends if isinstance(each, Settle)]
        assert booked in amounts or (booked == 0 and any(isinstance(each, Release) for each in ends))
    else:
        assert left_by, "what did not end was told"
        assert ledger.available == 1000 - ESTIMATE
    if not left_by:
        assert not ledger.open
    settled_first = next((each for each in ends), None)
    if isinstance(settled_first, Settle) and ledger.open:
        assert all(isinstance(each, Settle) for each in ends), "once it ran nothing is given back by leaving"
    other = ToldLedger(1000)
    assert asyncio.run(run_async(other, deeds, on_error)) == left_by
    assert told(other) == told(ledger)
    assert (other.available, bool(other.open)) == (ledger.available, bool(ledger.open))


LOSSES = st.lists(st.sampled_from([DROPPED, LOST, failed(503), failed(500), None]), max_size=12)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(losses=LOSSES, actuals=st.lists(st.integers(0, 150), min_size=1, max_size=4))
def test_whatever_the_network_loses_is_done_once(losses: list[Any], actuals: list[int]) -> None:
    """Requests, answers, or a gateway for a while: what is booked is what the product settled."""
    patience = Patience(timeout_seconds=30, first_pause_seconds=0.0001, longest_pause_seconds=0.0001)
    with serving(ScriptedGuard(ledger=ToldLedger(1000))) as guard:
        assert isinstance(guard, ScriptedGuard)
        guard.steps = [step for step in losses if step is not None]
        with GuardClient(guard.url, "bk_k", patience=patience) as client:
            for actual in actuals:
                with client.hold("acme", "p", estimate=ESTIMATE) as hold:
                    hold.settle(actual)
    assert guard.ledger.available == 1000 - sum(actuals)
    assert not guard.ledger.open
