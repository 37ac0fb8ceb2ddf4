"""Soft limits, pauses that end by themselves, reviews, and usage that never asked."""

import json

import pytest
from sqlalchemy import select

from billing_pipeline.control.guard_tables import (
    GUARD_ALERTS,
    GUARD_LIMIT_CHANGES,
    GUARD_NOTICES,
    GUARD_POSITIONS,
    GUARD_REVIEW_DECISIONS,
    GUARD_SESSIONS,
    GUARD_STOP_CHANGES,
    GUARD_WATCHED_EVENTS,
)
from billing_pipeline.errors import GuardRequestError
from billing_pipeline.guardrails.answers import DenialRule
from billing_pipeline.guardrails.commands import (
    CountUnguarded,
    DecideReview,
    ExpireDue,
    Lift,
    SetLimit,
    Stop,
)
from billing_pipeline.guardrails.requests import Settle
from billing_pipeline.guardrails.terms import BreakerTerms, LimitTerm
from billing_pipeline_tests.guardrails.made_ledger import START_US, MadeLedger, made_terms

WHO, WHY = "ops@example.com", "asked for"


def count(ledger: MadeLedger, amount: int, *, first_offset: int = 0, cursor: int = 1, calls: int = 1) -> int:
    """Count usage of acme's session s that never asked; how many entries were counted."""
    entry = ("acme", "p", "s", "usd", START_US, START_US, amount, calls)
    watched = (("0" * 32, "acme", True, "[]"),)
    command = CountUnguarded(entries=(entry,), watched=watched, first_offset=first_offset, cursor=cursor)
    changed: int = ledger.do(command).changed
    return changed


def test_a_soft_limit_alerts_once_per_crossing(ledger: MadeLedger) -> None:
    """It denies nothing; one alert, one notice and one review item, and another when its window begins anew."""
    ledger.terms.for_all = made_terms(limits=(LimitTerm("customer", "day", "soft", 100),))
    ledger.reserve("k-1", 99)
    assert ledger.reviews() == []
    ledger.reserve("k-2", 1)
    ledger.reserve("k-3", 500)
    (alert,) = ledger.rows(select(GUARD_ALERTS))
    assert (alert["scope"], alert["time_window"], alert["amount"], alert["used"]) == (
        "customer:acme",
        "day",
        100,
        100,
    )
    (review,) = ledger.reviews()
    (notice,) = ledger.rows(select(GUARD_NOTICES))
    assert (review["kind"], notice["kind"]) == ("soft_limit", "review.soft_limit")
    assert json.loads(notice["payload"])["review_id"] == review["review_id"]
    ledger.clock.pass_seconds(86_400)
    ledger.reserve("k-4", 100)
    assert len(ledger.rows(select(GUARD_ALERTS))) == 2


def test_a_raised_soft_limit_alerts_when_that_is_crossed(ledger: MadeLedger) -> None:
    """Raising it in review is kept with who and why, and the next crossing is another one."""
    ledger.terms.for_all = made_terms(limits=(LimitTerm("project", "day", "soft", 100),))
    ledger.reserve("k-1", 100)
    review_id = ledger.reviews()[0]["review_id"]
    ledger.do(DecideReview(review_id=review_id, decision="raise_limit", who=WHO, why=WHY, amount=200))
    (change,) = ledger.rows(select(GUARD_LIMIT_CHANGES))
    assert (change["scope"], change["severity"], change["amount"], change["who"]) == (
        "project:acme/p",
        "soft",
        200,
        WHO,
    )
    (decision,) = ledger.rows(select(GUARD_REVIEW_DECISIONS))
    assert (decision["decision"], decision["amount"], decision["why"]) == ("raise_limit", 200, WHY)
    ledger.reserve("k-2", 99)
    assert len(ledger.reviews()) == 1
    ledger.reserve("k-3", 1)
    assert len(ledger.reviews()) == 2


def test_an_overrun_may_cross_a_soft_limit(ledger: MadeLedger) -> None:
    """What is settled above its hold counts as what is held does."""
    ledger.terms.for_all = made_terms(limits=(LimitTerm("customer", "day", "soft", 100),))
    hold = ledger.reserve("k-1", 50)
    ledger.do(Settle(hold_id=hold.hold_id, amount=100))
    assert len(ledger.rows(select(GUARD_ALERTS))) == 1


def test_a_pause_ends_by_itself_where_it_was_said(ledger: MadeLedger) -> None:
    """With its review item: the policy's word is kept as one."""
    pause = Stop(
        scope="customer:acme",
        kind="pause",
        who="velocity",
        why="ten times its baseline",
        resumes_at=START_US + 60_000_000,
        review_kind="velocity",
        currency="usd",
        evidence='{"rule":"baseline"}',
    )
    ledger.do(pause)
    denied = ledger.denied("k-1")
    assert (denied.rule, denied.resets_at) == (DenialRule.PAUSED, START_US + 60_000_000)
    assert ledger.do(pause).changed == 0
    assert len(ledger.reviews()) == 1
    ledger.clock.pass_seconds(60)
    assert ledger.do(ExpireDue()).changed == 1
    ledger.reserve("k-2")
    (decision,) = ledger.rows(select(GUARD_REVIEW_DECISIONS))
    assert (decision["decision"], decision["who"]) == ("resume", "policy")
    assert [row["active"] for row in ledger.rows(select(GUARD_STOP_CHANGES))] == [True, False]


def test_a_person_ends_a_pause_in_review(ledger: MadeLedger) -> None:
    """Resume lifts it; keep leaves it."""
    for number, decision in enumerate(("keep", "resume")):
        ledger.clock.pass_seconds(1)
        scope = f"project:acme/{number}"
        ledger.do(
            Stop(scope=scope, kind="pause", who="velocity", why=WHY, review_kind="velocity", currency="usd")
        )
        review_id = ledger.reviews()[-1]["review_id"]
        ledger.do(DecideReview(review_id=review_id, decision=decision, who=WHO, why=WHY))  # type: ignore[arg-type]  # of two
    assert ledger.denied("k-1", project_id="0").rule is DenialRule.PAUSED
    ledger.reserve("k-2", project_id="1")


def test_a_kill_switch_outlives_a_review(ledger: MadeLedger) -> None:
    """What was stopped by hand is let go by hand."""
    ledger.do(Stop(scope="customer:acme", kind="kill", who=WHO, why=WHY, review_kind="kill", currency="usd"))
    review_id = ledger.reviews()[0]["review_id"]
    ledger.do(DecideReview(review_id=review_id, decision="resume", who=WHO, why=WHY))
    assert ledger.denied("k-1").rule is DenialRule.KILLED
    ledger.do(Lift(scope="customer:acme", kind="kill", who=WHO, why=WHY))
    ledger.reserve("k-2")


def test_unguarded_usage_counts_against_limits_and_sessions(ledger: MadeLedger) -> None:
    """It crosses soft limits, leaves less of hard ones, and counts for the session's breaker; no credit is drawn."""
    limits = (LimitTerm("customer", "day", "soft", 50), LimitTerm("customer", "day", "hard", 100))
    ledger.terms.for_all = made_terms(limits=limits, breaker=BreakerTerms(steps=3))
    assert count(ledger, 60, calls=2) == 1
    assert len(ledger.rows(select(GUARD_ALERTS))) == 1
    assert ledger.denied("k-1", 41).left == 40
    ledger.reserve("k-2", 1, session_id="s")
    assert ledger.denied("k-3", 1, session_id="s").rule is DenialRule.SESSION_STEPS
    assert ledger.account("acme")["spent"] == 0


def test_a_stretch_of_the_log_is_counted_once(ledger: MadeLedger) -> None:
    """Only what begins where the last one ended is counted, with what is remembered of its events."""
    assert count(ledger, 60, first_offset=0, cursor=10) == 1
    assert count(ledger, 60, first_offset=0, cursor=10) == 0
    assert count(ledger, 60, first_offset=5, cursor=15) == 0
    assert count(ledger, -60, first_offset=10, cursor=20, calls=-1) == 1
    (position,) = ledger.rows(select(GUARD_POSITIONS))
    assert (position["name"], position["position"]) == ("unguarded", 20)
    (watched,) = ledger.rows(select(GUARD_WATCHED_EVENTS))
    assert (watched["customer_id"], bool(watched["counted"])) == ("acme", True)
    (session,) = ledger.rows(select(GUARD_SESSIONS))
    assert (session["unguarded"], session["steps"]) == (0, 0)


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (Stop(scope="acme", kind="kill", who=WHO, why=WHY), "scope"),
        (Stop(scope="project:acme", kind="kill", who=WHO, why=WHY), "scope"),
        (Stop(scope="customer:a/b", kind="kill", who=WHO, why=WHY), "scope"),
        (Stop(scope="customer:acme", kind="kill", who="", why=WHY), "who"),
        (Lift(scope="customer:acme", kind="kill", who=WHO, why=""), "why"),
        (DecideReview(review_id="none", decision="keep", who=WHO, why=WHY), "review_id"),
        (
            SetLimit(
                scope="customer:acme",
                currency="USD",
                window="day",
                severity="hard",
                amount=1,
                who=WHO,
                why=WHY,
            ),
            "currency",
        ),
    ],
)
def test_a_command_that_is_not_possible_is_refused_by_name(
    ledger: MadeLedger, command: object, field: str
) -> None:
    """The error names the field."""
    with pytest.raises(GuardRequestError) as refused:
        ledger.do(command)
    assert refused.value.field == field
