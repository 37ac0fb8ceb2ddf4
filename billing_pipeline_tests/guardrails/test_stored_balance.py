"""Balances as the control database has them, on either engine."""

import pytest
from sqlalchemy import create_engine

from billing_pipeline.errors import GuardUnavailableError
from billing_pipeline.guardrails.balance import CustomerBalance, Funds, LimitLeft, SessionUse
from billing_pipeline.guardrails.commands import AddGrant, SetLimit
from billing_pipeline.guardrails.requests import Settle
from billing_pipeline.guardrails.stored_balance import StoredBalances
from billing_pipeline.guardrails.terms import BreakerTerms, LimitTerm
from billing_pipeline_tests.guardrails.made_ledger import (
    MONTH_US,
    START_US,
    MadeLedger,
    made_reserve,
    made_terms,
)

LIMITS = (
    LimitTerm("project", "day", "hard", 1000),
    LimitTerm("customer", "period", "soft", 5000),
    LimitTerm("session", "session", "hard", 300),
)


def balances(ledger: MadeLedger) -> StoredBalances:
    return StoredBalances(ledger.engine, ledger.terms, ledger.clock)


def test_it_says_what_is_held_spent_and_left(ledger: MadeLedger) -> None:
    """Of the account, each grant, each limit and the session."""
    ledger.terms.for_all = made_terms(needs_credit=True, limits=LIMITS, breaker=BreakerTerms(steps=9))
    writer = ledger.writer
    writer.submit(AddGrant(customer_id="acme", currency="usd", grant_id="g", amount=500)).result()
    first = writer.submit(made_reserve("a", 100, session_id="run-7")).result()
    writer.submit(made_reserve("b", 75, session_id="run-7")).result()
    writer.submit(Settle(hold_id=first.hold_id, amount=60)).result()

    found = balances(ledger).balance("acme", "p", "run-7")
    assert found.funds == (
        Funds(currency="usd", available=365, held=75, spent=60, overdraft=0, expired=0, granted=500),
    )
    assert [(each.grant_id, each.remaining) for each in found.grants] == [("g", 440)]
    day = {"scope": "project:acme/p", "currency": "usd", "window": "day", "severity": "hard"}
    assert {(each.scope, each.window): (each.used, each.left, each.resets_at) for each in found.limits} == {
        ("customer:acme", "period"): (135, 4865, START_US + MONTH_US),
        ("project:acme/p", "day"): (135, 865, START_US + 86_400_000_000),
        ("session:acme/run-7", "session"): (135, 165, None),
    }
    assert (
        LimitLeft(**day, amount=1000, used=135, left=865, resets_at=START_US + 86_400_000_000) in found.limits
    )
    assert found.session == SessionUse(
        session_id="run-7",
        project_id="p",
        currency="usd",
        started_at=START_US,
        last_at=START_US,
        steps=2,
        pending=75,
        settled=60,
        unguarded=0,
        breaker="closed",
        opened_by=None,
    )


def test_a_limit_of_the_sessions_own_stands_instead_of_the_plans(ledger: MadeLedger) -> None:
    ledger.terms.for_all = made_terms(limits=LIMITS)
    command = SetLimit(
        scope="session:acme/run-7",
        currency="usd",
        window="session",
        severity="hard",
        amount=900,
        who="ops@example.com",
        why="a long run",
    )
    ledger.writer.submit(command).result()
    for session_id, amount in (("run-7", 900), ("run-8", 300)):
        found = balances(ledger).balance("acme", "p", session_id).limits
        (of_session,) = (each for each in found if each.scope == f"session:acme/{session_id}")
        assert (of_session.amount, of_session.used, of_session.left) == (amount, 0, amount)


def test_without_a_project_those_that_spent_are_shown(ledger: MadeLedger) -> None:
    ledger.terms.for_all = made_terms(limits=LIMITS)
    ledger.writer.submit(made_reserve("a", 100, project_id="q")).result()
    scopes = {each.scope for each in balances(ledger).balance("acme", None, None).limits}
    assert scopes == {"customer:acme", "project:acme/q"}


def test_of_a_customer_without_anything_there_is_nothing(ledger: MadeLedger) -> None:
    assert balances(ledger).balance("nobody", None, "run") == CustomerBalance(
        customer_id="nobody", funds=(), grants=(), limits=(), session=None
    )


def test_a_hold_is_somebodys(ledger: MadeLedger) -> None:
    granted = ledger.writer.submit(made_reserve("a")).result()
    assert balances(ledger).customer_of(granted.hold_id) == "acme"
    assert balances(ledger).customer_of("f" * 32) is None


def test_a_database_that_cannot_be_read_is_unavailable() -> None:
    reader = StoredBalances(create_engine("sqlite:////nowhere/control.sqlite"), None)
    with pytest.raises(GuardUnavailableError):
        reader.balance("acme", None, None)
    with pytest.raises(GuardUnavailableError):
        reader.customer_of("f" * 32)
