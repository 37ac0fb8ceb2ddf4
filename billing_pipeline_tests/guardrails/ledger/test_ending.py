"""Settle, release, expiry and extension: each hold ends once, and what was spent is booked whatever happens."""

import json

import pytest
from sqlalchemy import select

from billing_pipeline.contract.door import Admitted, admit
from billing_pipeline.control.guard_tables import GUARD_HOLDS, GUARD_JOURNAL, GUARD_OUTBOX, GUARD_WINDOWS
from billing_pipeline.errors import (
    GuardConflictError,
    GuardRequestError,
    HoldNotFoundError,
    UnpricedUsageError,
)
from billing_pipeline.guardrails.answers import DenialRule, Ended
from billing_pipeline.guardrails.commands import AddGrant, ExpireDue, Stop
from billing_pipeline.guardrails.requests import Extend, Release, Settle
from billing_pipeline.guardrails.terms import LimitTerm
from billing_pipeline.guardrails.usage import Usage
from billing_pipeline_tests.guardrails.made_ledger import START_US, MadeLedger, made_reserve, made_terms


def test_a_settle_frees_the_rest(ledger: MadeLedger) -> None:
    """What was held and not spent is available again, in the same step."""
    hold = ledger.reserve("k", 75)
    ended = ledger.do(Settle(hold_id=hold.hold_id, amount=50))
    assert (ended.state, ended.booked, ended.freed, ended.overrun) == ("settled", 50, 25, 0)
    assert ledger.account("acme") == {"issued": 0, "available": -50, "held": 0, "spent": 50, "overdraft": 0}
    for window in ledger.rows(select(GUARD_WINDOWS)):
        assert (window["pending"], window["settled"], window["calls"]) == (0, 50, 1)


def test_a_release_frees_all(ledger: MadeLedger) -> None:
    """Nothing is spent, and what was held is available again."""
    hold = ledger.reserve("k", 75)
    ended = ledger.do(Release(hold_id=hold.hold_id))
    assert (ended.state, ended.booked, ended.freed) == ("released", 0, 75)
    assert ledger.account("acme") == {"issued": 0, "available": 0, "held": 0, "spent": 0, "overdraft": 0}


def test_a_settle_above_the_hold_takes_what_is_there_and_the_rest_is_overdraft(ledger: MadeLedger) -> None:
    """Of 100 credit 60 are held; a settle at 130 takes all 100, and 30 are an overdraft that the next grant fills."""
    ledger.terms.for_all = made_terms(needs_credit=True)
    ledger.do(AddGrant(customer_id="acme", currency="usd", grant_id="g-1", amount=100))
    hold = ledger.reserve("k", 60)
    ended = ledger.do(Settle(hold_id=hold.hold_id, amount=130))
    assert (ended.booked, ended.overrun, ended.overdraft) == (130, 70, 30)
    assert ledger.account("acme") == {
        "issued": -100,
        "available": 0,
        "held": 0,
        "spent": 130,
        "overdraft": -30,
    }
    ledger.do(AddGrant(customer_id="acme", currency="usd", grant_id="g-2", amount=50))
    assert ledger.account("acme") == {
        "issued": -150,
        "available": 20,
        "held": 0,
        "spent": 130,
        "overdraft": 0,
    }


def test_an_overrun_leaves_what_others_hold(ledger: MadeLedger) -> None:
    """An overrun never takes from another hold."""
    ledger.terms.for_all = made_terms(needs_credit=True)
    ledger.do(AddGrant(customer_id="acme", currency="usd", grant_id="g", amount=100))
    hold, other = ledger.reserve("k-1", 40), ledger.reserve("k-2", 50)
    ended = ledger.do(Settle(hold_id=hold.hold_id, amount=60))
    assert (ended.overrun, ended.overdraft) == (20, 10)
    assert ledger.do(Settle(hold_id=other.hold_id, amount=50)).overdraft == 0
    assert ledger.account("acme") == {
        "issued": -100,
        "available": 0,
        "held": 0,
        "spent": 110,
        "overdraft": -10,
    }


def test_an_overdraft_stops_by_policy(ledger: MadeLedger) -> None:
    """It opens the session's breaker, or pauses the project where there is no session; or neither, by policy."""
    ledger.terms.for_all = made_terms(needs_credit=True)
    ledger.do(AddGrant(customer_id="acme", currency="usd", grant_id="g", amount=100))
    hold = ledger.reserve("k-1", 10, session_id="s")
    ledger.do(Settle(hold_id=hold.hold_id, amount=101))
    assert ledger.denied("k-2", 0, session_id="s").reason == "overdraft"
    hold = ledger.reserve("k-3", 0)
    ledger.do(Settle(hold_id=hold.hold_id, amount=1))
    assert ledger.denied("k-4", 0).rule is DenialRule.PAUSED
    assert [row["kind"] for row in ledger.reviews()] == ["overdraft", "overdraft"]
    ledger.terms.for_all = made_terms(needs_credit=True, overdraft_trips=False)
    hold = ledger.reserve("k-5", 0, project_id="q")
    ledger.do(Settle(hold_id=hold.hold_id, amount=1))
    ledger.reserve("k-6", 0, project_id="q")


def test_each_end_is_repeated_word_for_word(ledger: MadeLedger) -> None:
    """The same settle or release again gets the same answer, and books nothing more."""
    settled, released = ledger.reserve("k-1"), ledger.reserve("k-2")
    settle = Settle(hold_id=settled.hold_id, amount=50)
    first = ledger.ask(settle)
    gone = ledger.ask(Release(hold_id=released.hold_id))
    ledger.clock.pass_seconds(100_000)
    ledger.do(ExpireDue())
    assert ledger.ask(settle) == first
    assert ledger.ask(Release(hold_id=released.hold_id)) == gone
    assert ledger.account("acme")["spent"] == 50


@pytest.mark.parametrize("first", ["settle", "release"])
def test_a_hold_ends_once(ledger: MadeLedger, first: str) -> None:
    """Another end than the first is refused, and so is the first one's key with other content."""
    hold = ledger.reserve("k")
    settle, release = Settle(hold_id=hold.hold_id, amount=50), Release(hold_id=hold.hold_id)
    ledger.ask(settle if first == "settle" else release)
    with pytest.raises(GuardConflictError) as refused:
        ledger.ask(release if first == "settle" else settle)
    assert refused.value.code == "hold_ended"
    if first == "settle":
        with pytest.raises(GuardConflictError) as refused:
            ledger.ask(Settle(hold_id=hold.hold_id, amount=51))
        assert refused.value.code == "idempotency_conflict"
    assert ledger.account("acme")["spent"] == (50 if first == "settle" else 0)


def test_a_hold_expires_by_time(ledger: MadeLedger) -> None:
    """Once its time has come it holds nothing any more; not a moment before."""
    ledger.reserve("k", 75, ttl_seconds=10)
    ledger.clock.pass_seconds(9.999999)
    assert ledger.do(ExpireDue()).changed == 0
    ledger.clock.pass_seconds(0.000001)
    assert ledger.do(ExpireDue()).changed == 1
    assert ledger.account("acme") == {"issued": 0, "available": 0, "held": 0, "spent": 0, "overdraft": 0}
    (row,) = ledger.rows(select(GUARD_HOLDS))
    assert (row["state"], row["booked"]) == ("expired", None)


def test_a_settle_after_expiry_is_booked_all_the_same(ledger: MadeLedger) -> None:
    """What was spent counts in the window of the grant, once, and the answer says that it was late."""
    ledger.terms.for_all = made_terms(limits=(LimitTerm("customer", "day", "hard", 100),))
    hold = ledger.reserve("k", 75, ttl_seconds=10)
    ledger.clock.pass_seconds(11)
    ledger.do(ExpireDue())
    settle = Settle(hold_id=hold.hold_id, amount=60)
    ended = ledger.ask(settle)
    assert isinstance(ended, Ended)
    assert (ended.state, ended.late, ended.booked) == ("expired", True, 60)
    assert ledger.ask(settle) == ended
    with pytest.raises(GuardConflictError):
        ledger.ask(Settle(hold_id=hold.hold_id, amount=61))
    with pytest.raises(GuardConflictError):
        ledger.ask(Release(hold_id=hold.hold_id))
    assert ledger.denied("k-2", 41).left == 40
    kinds = [row["kind"] for row in ledger.rows(select(GUARD_JOURNAL).order_by(GUARD_JOURNAL.c.id))]
    assert kinds == ["reserve", "expire", "late_settle"]


def test_a_settle_before_the_sweep_is_not_late(ledger: MadeLedger) -> None:
    """A hold whose time has come and that nobody has ended yet is settled as ever."""
    hold = ledger.reserve("k", 75, ttl_seconds=10)
    ledger.clock.pass_seconds(11)
    assert ledger.do(Settle(hold_id=hold.hold_id, amount=60)).late is False


def test_settling_works_while_stopped(ledger: MadeLedger) -> None:
    """A kill switch stops what begins, not the booking of what has run."""
    hold = ledger.reserve("k")
    ledger.do(Stop(scope="customer:acme", kind="kill", who="ops@example.com", why="runaway"))
    assert ledger.do(Settle(hold_id=hold.hold_id, amount=50)).state == "settled"


def test_an_extension_lets_a_hold_live_on(ledger: MadeLedger) -> None:
    """It expires so long after the extension; a repeat changes nothing, and the reserve's answer stays as it was."""
    hold = ledger.reserve("k", ttl_seconds=10)
    ledger.clock.pass_seconds(5)
    extend = Extend(hold_id=hold.hold_id, ttl_seconds=20, idempotency_key="e")
    extended = ledger.do(extend)
    assert extended.expires_at == START_US + 25_000_000
    ledger.clock.pass_seconds(10)
    assert ledger.do(extend) == extended
    with pytest.raises(GuardConflictError):
        ledger.ask(Extend(hold_id=hold.hold_id, ttl_seconds=21, idempotency_key="e"))
    assert ledger.do(ExpireDue()).changed == 0
    assert ledger.ask(made_reserve("k", ttl_seconds=10)) == hold
    ledger.clock.pass_seconds(10)
    assert ledger.do(ExpireDue()).changed == 1
    with pytest.raises(GuardConflictError):
        ledger.ask(Extend(hold_id=hold.hold_id, ttl_seconds=20, idempotency_key="e-2"))


def test_an_extension_never_shortens(ledger: MadeLedger) -> None:
    """A shorter time from now leaves the hold's end where it was."""
    hold = ledger.reserve("k", ttl_seconds=100)
    extended = ledger.do(Extend(hold_id=hold.hold_id, ttl_seconds=1, idempotency_key="e"))
    assert extended.expires_at == hold.expires_at


@pytest.mark.parametrize(
    "request_for",
    [
        lambda hold_id: Settle(hold_id=hold_id, amount=1),
        lambda hold_id: Release(hold_id=hold_id),
        lambda hold_id: Extend(hold_id=hold_id, ttl_seconds=1, idempotency_key="e"),
    ],
)
def test_an_unknown_hold_is_told(ledger: MadeLedger, request_for: object) -> None:
    """There is no hold of that id; an id of another form is a fault of the field."""
    assert callable(request_for)
    with pytest.raises(HoldNotFoundError):
        ledger.ask(request_for("0" * 32))
    with pytest.raises(GuardRequestError):
        ledger.ask(request_for("h"))


def test_a_settle_in_usage_sends_its_events(ledger: MadeLedger) -> None:
    """One event per quantity, at the grant's time, in the product's identity where it gave one; the log takes each."""
    hold = ledger.reserve("k", 10_000, session_id="s", user_id="u", correlation_id="c", step="completion")
    ledger.clock.pass_seconds(90)
    usage = (
        Usage(unit="token", quantity="3", dimensions={"model": "m"}, source="app", id="e-1"),
        Usage(unit="token", quantity="4"),
    )
    ended = ledger.do(Settle(hold_id=hold.hold_id, usage=usage))
    assert ended.booked == 7_004  # 7 x 1,000.5 = 7,003.5, half away from zero
    rows = ledger.rows(select(GUARD_OUTBOX).order_by(GUARD_OUTBOX.c.id))
    events = [json.loads(row["payload"]) for row in rows]
    assert [(each["source"], each["id"]) for each in events] == [
        ("app", "e-1"),
        ("guard", f"{hold.hold_id}:1"),
    ]
    assert {(each["occurred_at"], each["session_id"], each["correlation_id"]) for each in events} == {
        ("2026-12-01T00:00:00.000000Z", "s", "c")
    }
    assert [each["quantity"] for each in events] == ["3", "4"]
    assert all(isinstance(admit(row["payload"].encode()), Admitted) for row in rows)


def test_usage_that_cannot_be_priced_leaves_the_hold(ledger: MadeLedger) -> None:
    """The settle is refused, and the hold can be settled otherwise."""
    hold = ledger.reserve("k")
    with pytest.raises(UnpricedUsageError):
        ledger.ask(Settle(hold_id=hold.hold_id, usage=(Usage(unit="call", quantity="1"),)))
    assert ledger.do(Settle(hold_id=hold.hold_id, amount=70)).state == "settled"


@pytest.mark.parametrize(
    ("usage", "field"),
    [
        (Usage(unit="token", quantity="-1"), "usage[0].quantity"),
        (Usage(unit="token", quantity="1e3"), "usage[0].quantity"),
        (Usage(unit="", quantity="1"), "usage[0].unit"),
        (Usage(unit="token", quantity="1", source="app"), "usage[0].id"),
    ],
)
def test_usage_that_the_log_would_refuse_is_refused(ledger: MadeLedger, usage: Usage, field: str) -> None:
    """A settle never leaves an event behind that cannot be sent."""
    hold = ledger.reserve("k")
    with pytest.raises(GuardRequestError) as refused:
        ledger.ask(Settle(hold_id=hold.hold_id, usage=(usage,)))
    assert refused.value.field == field
