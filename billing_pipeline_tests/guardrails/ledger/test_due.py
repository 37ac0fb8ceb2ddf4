"""What ends by time ends nothing else: not what was decided meanwhile, nor a stop that somebody has set for longer."""

import pytest
from sqlalchemy import select

from billing_pipeline.control.guard_tables import GUARD_REVIEW_DECISIONS
from billing_pipeline.guardrails.answers import DenialRule
from billing_pipeline.guardrails.commands import DecideReview, Done, ExpireDue, Stop
from billing_pipeline_tests.guardrails.made_ledger import MadeLedger

SCOPE = "project:acme/p"


def pause(ledger: MadeLedger, who: str, seconds: int | None, review_kind: str | None = None) -> None:
    """Pause the project for so long, or for good."""
    resumes_at = None if seconds is None else ledger.clock.at_us + seconds * 1_000_000
    stop = Stop(
        scope=SCOPE,
        kind="pause",
        who=who,
        why="spend",
        resumes_at=resumes_at,
        review_kind=review_kind,
        currency="usd",
    )
    assert ledger.do(stop).changed == 1


def test_a_pause_ends_with_its_review(ledger: MadeLedger) -> None:
    """The policy resumes, once, and says so."""
    pause(ledger, "watch", 10, "velocity")
    assert ledger.denied("a").rule == DenialRule.PAUSED
    ledger.clock.pass_seconds(10)
    assert ledger.do(ExpireDue()).changed == 1
    ledger.reserve("b")
    assert ledger.do(ExpireDue()) == Done(changed=0)
    (decision,) = ledger.rows(select(GUARD_REVIEW_DECISIONS))
    assert (decision["decision"], decision["who"]) == ("resume", "policy")


@pytest.mark.parametrize("seconds", [None, 60])
def test_a_pause_set_anew_outlasts_the_review_of_the_one_before(
    ledger: MadeLedger, seconds: int | None
) -> None:
    """The review is decided when its time has come; the operator's pause stays until its own."""
    pause(ledger, "watch", 10, "velocity")
    pause(ledger, "ops@example.com", seconds)
    ledger.clock.pass_seconds(10)
    assert ledger.do(ExpireDue()).changed == 1
    assert ledger.reviews()[0]["decided_at"] == ledger.clock.at_us
    assert ledger.denied("a").rule == DenialRule.PAUSED
    ledger.clock.pass_seconds(50)
    assert ledger.do(ExpireDue()).changed == (seconds is not None)


def test_what_others_did_between_look_and_lock_stays(
    ledger: MadeLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A review that is decided, and a pause set anew, are still on the list of what is due."""
    pause(ledger, "watch", 10, "velocity")
    (review,) = ledger.reviews()
    ledger.clock.pass_seconds(10)
    ledger.do(
        DecideReview(review_id=review["review_id"], decision="resume", who="ops@example.com", why="spend")
    )
    pause(ledger, "ops@example.com", None)
    hold = ledger.reserve("c", project_id="other", ttl_seconds=1)
    ledger.clock.pass_seconds(1)
    monkeypatch.setattr(ledger.store, "due_reviews", lambda *_: [review["review_id"]])
    monkeypatch.setattr(ledger.store, "due_stops", lambda *_: [(SCOPE, "pause")])
    assert ledger.do(ExpireDue()).changed == 1, hold
    assert ledger.denied("a").rule == DenialRule.PAUSED
