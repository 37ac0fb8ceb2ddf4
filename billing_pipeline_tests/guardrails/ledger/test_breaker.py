"""The breaker of an agent session: what opens it, what passes by itself, and how it is let try again."""

import pytest

from billing_pipeline.errors import GuardConflictError, GuardRequestError
from billing_pipeline.guardrails.answers import DenialRule
from billing_pipeline.guardrails.commands import DecideReview, SetLimit
from billing_pipeline.guardrails.requests import Release, Settle
from billing_pipeline.guardrails.terms import BreakerTerms, LimitTerm
from billing_pipeline_tests.guardrails.made_ledger import MadeLedger, made_terms


def under(ledger: MadeLedger, **rules: int) -> None:
    """Let the breaker's rules hold for all."""
    ledger.terms.for_all = made_terms(breaker=BreakerTerms(**rules))


def decide(ledger: MadeLedger, decision: str, amount: int | None = None) -> None:
    """Decide the newest review item."""
    review_id = ledger.reviews()[-1]["review_id"]
    ledger.do(
        DecideReview(
            review_id=review_id,
            decision=decision,  # type: ignore[arg-type]  # a test's own
            who="ops@example.com",
            why="looked at it",
            amount=amount,
        )
    )


def test_steps_open_the_breaker(ledger: MadeLedger) -> None:
    """The step too many is denied by its rule, everything after it because the breaker is open."""
    under(ledger, steps=3)
    ledger.reserve("k-1", session_id="s", steps=2)
    assert ledger.denied("k-2", session_id="s", steps=2).left == 1
    denied = ledger.denied("k-3", session_id="s")
    assert (denied.rule, denied.reason) == (DenialRule.BREAKER_OPEN, "session_steps")
    ledger.reserve("k-4", session_id="other")
    ledger.reserve("k-5", session_id="s", customer_id="other")
    (review,) = ledger.reviews()
    assert (review["kind"], review["scope"]) == ("breaker", "session:acme/s")


def test_spend_opens_the_breaker(ledger: MadeLedger) -> None:
    """What is held and what was settled counts."""
    under(ledger, spend=100)
    hold = ledger.reserve("k-1", 60, session_id="s")
    ledger.do(Settle(hold_id=hold.hold_id, amount=50))
    ledger.reserve("k-2", 50, session_id="s")
    denied = ledger.denied("k-3", 1, session_id="s")
    assert (denied.rule, denied.limit, denied.left) == (DenialRule.SESSION_SPEND, 100, 0)


def test_a_session_limit_of_the_plan_or_of_its_own_is_its_spend(ledger: MadeLedger) -> None:
    """The least of the plan's bounds holds; a limit set for the session stands instead of them."""
    limits = (LimitTerm("session", "session", "hard", 80),)
    ledger.terms.for_all = made_terms(breaker=BreakerTerms(spend=100), limits=limits)
    ledger.do(
        SetLimit(
            scope="session:acme/big",
            currency="usd",
            window="session",
            severity="hard",
            amount=500,
            who="ops@example.com",
            why="a long run",
        )
    )
    assert ledger.denied("k-1", 81, session_id="s").limit == 80
    ledger.reserve("k-2", 500, session_id="big")
    assert ledger.denied("k-3", 1, session_id="big").limit == 500


def test_rate_passes_by_itself(ledger: MadeLedger) -> None:
    """Too many steps in a minute are denied until the minute is over; the breaker stays closed."""
    under(ledger, steps_per_minute=2)
    ledger.reserve("k-1", session_id="s")
    ledger.reserve("k-2", session_id="s")
    denied = ledger.denied("k-3", session_id="s")
    assert (denied.rule, denied.limit, denied.left) == (DenialRule.SESSION_RATE, 2, 0)
    assert denied.resets_at is not None
    ledger.clock.at_us = denied.resets_at
    ledger.reserve("k-4", session_id="s")
    assert ledger.reviews() == []


def test_duration_opens_the_breaker(ledger: MadeLedger) -> None:
    """From its first step on a session may run so long."""
    under(ledger, duration_seconds=60)
    ledger.reserve("k-1", session_id="s")
    ledger.clock.pass_seconds(59)
    ledger.reserve("k-2", session_id="s")
    ledger.clock.pass_seconds(1)
    assert ledger.denied("k-3", session_id="s").rule is DenialRule.SESSION_DURATION


def test_the_same_call_again_and_again_opens_the_breaker(ledger: MadeLedger) -> None:
    """So many of the same call in a row are let through; another call between begins anew."""
    under(ledger, identical_calls=2)
    for key, call in (("k-1", "a"), ("k-2", "a"), ("k-3", "b"), ("k-4", "a"), ("k-5", "a")):
        ledger.reserve(key, session_id="s", call=call)
    assert ledger.denied("k-6", session_id="s", call="a").rule is DenialRule.IDENTICAL_CALLS
    assert ledger.denied("k-7", session_id="s", call="c").rule is DenialRule.BREAKER_OPEN


def test_without_a_session_nothing_is_broken(ledger: MadeLedger) -> None:
    """Breakers are kept for sessions alone."""
    under(ledger, steps=1, spend=1, steps_per_minute=1, identical_calls=1)
    ledger.reserve("k-1", 100, call="a")
    ledger.reserve("k-2", 100, call="a")


def test_resume_lets_one_step_try(ledger: MadeLedger) -> None:
    """Half-open lets one hold through at a time; once it is settled within its estimate all goes on from there."""
    under(ledger, steps=2)
    ledger.reserve("k-1", session_id="s", steps=2)
    ledger.denied("k-2", session_id="s")
    decide(ledger, "resume")
    probe = ledger.reserve("k-3", session_id="s")
    assert ledger.denied("k-4", session_id="s").rule is DenialRule.BREAKER_OPEN
    ledger.do(Settle(hold_id=probe.hold_id, amount=75))
    ledger.reserve("k-5", session_id="s")
    assert ledger.denied("k-6", session_id="s").rule is DenialRule.SESSION_STEPS


def test_a_probe_that_was_released_is_tried_again(ledger: MadeLedger) -> None:
    """Unused it has shown nothing: the next one is let through, one at a time still."""
    under(ledger, steps=5)
    ledger.denied("k-1", session_id="s", steps=6)
    decide(ledger, "resume")
    ledger.do(Release(hold_id=ledger.reserve("k-2", session_id="s").hold_id))
    ledger.reserve("k-3", session_id="s")
    ledger.denied("k-4", session_id="s")


def test_a_probe_that_overruns_leaves_it_half_open(ledger: MadeLedger) -> None:
    """Spending more than was estimated closes no breaker."""
    under(ledger, steps=5)
    ledger.denied("k-1", session_id="s", steps=6)
    decide(ledger, "resume")
    probe = ledger.reserve("k-2", 10, session_id="s")
    ledger.do(Settle(hold_id=probe.hold_id, amount=11))
    ledger.reserve("k-3", session_id="s")
    ledger.denied("k-4", session_id="s")


def test_keep_leaves_it_open(ledger: MadeLedger) -> None:
    """The decision is kept, and nothing runs."""
    under(ledger, steps=1)
    ledger.denied("k-1", session_id="s", steps=2)
    decide(ledger, "keep")
    assert ledger.denied("k-2", session_id="s").rule is DenialRule.BREAKER_OPEN
    with pytest.raises(GuardConflictError):
        decide(ledger, "resume")


def test_raise_limit_lets_it_go_on_under_a_higher_one(ledger: MadeLedger) -> None:
    """The session's spend may be as much as was said; a rule without an amount has no limit to raise."""
    under(ledger, spend=100, steps=10)
    ledger.denied("k-1", 101, session_id="s")
    decide(ledger, "raise_limit", 300)
    probe = ledger.reserve("k-2", 200, session_id="s")
    ledger.do(Settle(hold_id=probe.hold_id, amount=200))
    assert ledger.denied("k-3", 101, session_id="s").limit == 300
    ledger.clock.pass_seconds(1)
    ledger.denied("k-4", session_id="t", steps=11)
    with pytest.raises(GuardRequestError, match="has no limit"):
        decide(ledger, "raise_limit", 1)
