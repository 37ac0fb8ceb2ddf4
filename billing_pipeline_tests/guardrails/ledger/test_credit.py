"""Grants: which burns first, what time and revocation take, and how the close brings spent to what was invoiced."""

from sqlalchemy import select

from billing_pipeline.control.guard_tables import GUARD_GRANTS, GUARD_JOURNAL
from billing_pipeline.guardrails.answers import DenialRule
from billing_pipeline.guardrails.commands import AddGrant, ExpireDue, TrueUp, VoidGrant
from billing_pipeline.guardrails.requests import Release, Settle
from billing_pipeline_tests.guardrails.made_ledger import START_US, MadeLedger, made_terms

SECOND_US = 1_000_000


def grant(ledger: MadeLedger, grant_id: str, amount: int, **fields: object) -> int:
    """Add a grant of acme's; how many were added."""
    command = AddGrant(customer_id="acme", currency="usd", grant_id=grant_id, amount=amount, **fields)  # type: ignore[arg-type]  # a test's own
    changed: int = ledger.do(command).changed
    return changed


def spend(ledger: MadeLedger, key: str, amount: int) -> None:
    """Hold and settle the same amount."""
    ledger.do(Settle(hold_id=ledger.reserve(key, amount).hold_id, amount=amount))


def remaining(ledger: MadeLedger) -> dict[str, int]:
    """What is left of each grant."""
    return {row["grant_id"]: row["remaining"] for row in ledger.rows(select(GUARD_GRANTS))}


def test_a_grant_is_added_once(ledger: MadeLedger) -> None:
    """The same id again changes nothing."""
    assert [grant(ledger, "g", 100), grant(ledger, "g", 100)] == [1, 0]
    assert ledger.account("acme")["available"] == 100


def test_grants_burn_by_priority_then_expiry_then_creation(ledger: MadeLedger) -> None:
    """The lower the priority the sooner; then what expires first; then the older."""
    grant(ledger, "late", 10, priority=1)
    grant(ledger, "never", 10)
    grant(ledger, "soon", 10, expires_at=START_US + 100 * SECOND_US)
    grant(ledger, "sooner", 10, expires_at=START_US + 50 * SECOND_US)
    spend(ledger, "k-1", 15)
    assert remaining(ledger) == {"late": 10, "never": 10, "soon": 5, "sooner": 0}
    spend(ledger, "k-2", 10)
    assert remaining(ledger) == {"late": 10, "never": 5, "soon": 0, "sooner": 0}
    spend(ledger, "k-3", 10)
    assert remaining(ledger) == {"late": 5, "never": 0, "soon": 0, "sooner": 0}


def test_time_takes_what_no_hold_counts_on(ledger: MadeLedger) -> None:
    """Of an expired grant the open hold keeps its part; what that does not spend expires as it ends."""
    ledger.terms.for_all = made_terms(needs_credit=True)
    grant(ledger, "g", 100, expires_at=START_US + 10 * SECOND_US)
    hold = ledger.reserve("k", 60)
    ledger.clock.pass_seconds(10)
    assert ledger.do(ExpireDue()).changed == 1
    assert ledger.account("acme")["expired"] == 40
    assert ledger.denied("k-2", 1).rule is DenialRule.CREDIT
    ledger.do(Settle(hold_id=hold.hold_id, amount=45))
    account = ledger.account("acme")
    assert (account["spent"], account["expired"], account["available"], account["held"]) == (45, 55, 0, 0)
    assert remaining(ledger) == {"g": 0}


def test_an_expired_grant_that_holds_count_on_burns_first(ledger: MadeLedger) -> None:
    """Otherwise credit that is still good would be spent and the expired rest lost."""
    ledger.terms.for_all = made_terms(needs_credit=True)
    grant(ledger, "old", 100, expires_at=START_US + 10 * SECOND_US, priority=9)
    hold = ledger.reserve("k", 60)
    grant(ledger, "new", 100)
    ledger.clock.pass_seconds(10)
    ledger.do(Settle(hold_id=hold.hold_id, amount=60))
    assert remaining(ledger) == {"old": 0, "new": 100}
    assert ledger.account("acme")["available"] == 100


def test_a_voided_grant_is_taken_back(ledger: MadeLedger) -> None:
    """What is left goes back to where it came from, once; what a hold counts on stays with it."""
    ledger.terms.for_all = made_terms(needs_credit=True)
    grant(ledger, "g", 100)
    hold = ledger.reserve("k", 30)
    void = VoidGrant(customer_id="acme", currency="usd", grant_id="g")
    assert [ledger.do(void).changed, ledger.do(void).changed] == [1, 0]
    assert ledger.account("acme") == {"issued": -30, "available": 0, "held": 30, "spent": 0, "overdraft": 0}
    ledger.do(Release(hold_id=hold.hold_id))
    assert ledger.account("acme")["expired"] == 30


def test_a_grant_pays_what_was_owed(ledger: MadeLedger) -> None:
    """Who needs no credit owes what was spent; a grant pays that first."""
    spend(ledger, "k", 70)
    grant(ledger, "g", 100)
    assert ledger.account("acme")["available"] == 30
    assert remaining(ledger) == {"g": 30}


def test_a_true_up_is_booked_once(ledger: MadeLedger) -> None:
    """What was invoiced above what was settled is spent, once per reference."""
    grant(ledger, "g", 100)
    spend(ledger, "k", 40)
    more = TrueUp(customer_id="acme", currency="usd", reference="2026-12", amount=5)
    assert [ledger.do(more).changed, ledger.do(more).changed] == [1, 0]
    assert ledger.account("acme")["spent"] == 45
    assert remaining(ledger) == {"g": 55}


def test_a_true_up_downwards_gives_back(ledger: MadeLedger) -> None:
    """What was settled above what was invoiced goes back to the grant that was burned last; never more than burned."""
    grant(ledger, "first", 30)
    grant(ledger, "second", 30, priority=1)
    spend(ledger, "k", 40)
    ledger.do(TrueUp(customer_id="acme", currency="usd", reference="2026-12", amount=-15))
    assert ledger.account("acme") == {"issued": -60, "available": 35, "held": 0, "spent": 25, "overdraft": 0}
    assert remaining(ledger) == {"first": 5, "second": 30}


def test_a_true_up_of_spent_credit_is_overdraft(ledger: MadeLedger) -> None:
    """Where all credit is spent, what was invoiced above it is owed as an overdraft, and the next grant fills it."""
    ledger.terms.for_all = made_terms(needs_credit=True)
    grant(ledger, "g", 30)
    spend(ledger, "k", 30)
    ledger.do(TrueUp(customer_id="acme", currency="usd", reference="2026-12", amount=5))
    assert ledger.account("acme") == {"issued": -30, "available": 0, "held": 0, "spent": 35, "overdraft": -5}


def test_a_true_up_gives_back_no_more_than_was_burned(ledger: MadeLedger) -> None:
    """What time has taken of a grant was never burned: it is not given back, and does not expire twice."""
    grant(ledger, "kept", 100)
    grant(ledger, "ends", 100, priority=1, expires_at=START_US + 10 * SECOND_US)
    spend(ledger, "k", 140)
    ledger.clock.pass_seconds(10)
    ledger.do(ExpireDue())
    assert ledger.account("acme")["expired"] == 60
    ledger.do(TrueUp(customer_id="acme", currency="usd", reference="2026-12", amount=-130))
    account = ledger.account("acme")
    assert (account["spent"], account["available"], account["expired"]) == (10, 90, 100)
    assert remaining(ledger) == {"kept": 90, "ends": 0}


def test_a_true_up_downwards_fills_an_overdraft_first(ledger: MadeLedger) -> None:
    """What no credit was there for is the first to be taken back."""
    ledger.terms.for_all = made_terms(needs_credit=True, overdraft_trips=False)
    grant(ledger, "g", 30)
    hold = ledger.reserve("k", 30)
    ledger.do(Settle(hold_id=hold.hold_id, amount=40))
    ledger.do(TrueUp(customer_id="acme", currency="usd", reference="2026-12", amount=-15))
    assert ledger.account("acme") == {"issued": -30, "available": 5, "held": 0, "spent": 25, "overdraft": 0}
    assert remaining(ledger) == {"g": 5}


def test_every_movement_balances(ledger: MadeLedger) -> None:
    """Each row of the journal adds up to 0, and all rows together are the account."""
    grant(ledger, "g", 100, expires_at=START_US + 10 * SECOND_US)
    spend(ledger, "k-1", 30)
    ledger.do(Release(hold_id=ledger.reserve("k-2", 20).hold_id))
    ledger.clock.pass_seconds(10)
    ledger.do(ExpireDue())
    names = ("issued", "available", "held", "spent", "overdraft", "expired")
    rows = ledger.rows(select(GUARD_JOURNAL))
    assert all(sum(row[name] for name in names) == 0 for row in rows)
    account = ledger.account("acme")
    assert {name: sum(row[name] for row in rows) for name in account} == account
