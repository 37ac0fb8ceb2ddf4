"""The true-up at the close of invoice periods: once per period, the guard's ledger spends what was invoiced."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from billing_pipeline.audit.guard_credit import grant_credits
from billing_pipeline.audit.guard_invariants import guard_faults
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.guardrails.commands import ExpireDue
from billing_pipeline.guardrails.policies.policy import without_limits
from billing_pipeline.guardrails.reconciliation.true_up import AccountFigures
from billing_pipeline.guardrails.requests import Settle
from billing_pipeline.guardrails.usage import Usage
from billing_pipeline.invoicing.guard_true_up import missing_true_ups, true_up_days
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.rule_book_yaml import load_rule_books
from billing_pipeline_tests.audit.guarded_company import DAY_US, START_US, GuardedCompany, tokens
from billing_pipeline_tests.guardrails.made_ledger import made_terms

FIRST, DAY, END, NEXT, LAST = (
    date(2026, 10, 1),
    date(2026, 10, 20),
    date(2026, 10, 31),
    date(2026, 11, 10),
    date(2026, 11, 30),
)
CENT = 10**7
BOOK = """
version: "1"
effective_from: 2026-01-01T00:00:00Z
units: [call]
meters:
  calls: {unit: call, aggregation: sum}
plans:
  team:
    currency: usd
    charges:
      - {name: calls, meter: calls, price: {model: per_unit, unit_price: 0.01}}
      - {name: seats, price: {model: flat_fee, amount: 20.00, pay: in_arrears}}
    minimums: [{name: commitment, amount: 30.00}]
"""
AMOUNT = st.integers(-(10**12), 10**12)


@pytest.fixture
def guarded(pipeline: Pipeline) -> Iterator[GuardedCompany]:
    company = GuardedCompany(pipeline)
    yield company
    company.close()


@pytest.fixture
def closed(
    guarded: GuardedCompany,
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
    close: Callable[..., Any],
) -> Callable[..., None]:
    """Lets the log have records at an instant, after acme's registration, and closes some days."""
    known = [("2026-10-01T02:00:00Z", record) for record in registered() + registered("beta")]

    def run(*entries: tuple[str, LogRecord], days: tuple[date, ...]) -> None:
        receive(guarded.pipeline, known + [(f"2026-{instant}:00Z", record) for instant, record in entries])
        known.clear()
        close(guarded.pipeline, days)

    return run


def true_up(guarded: GuardedCompany, *days: date) -> dict[str, int]:
    """Book, and say what was booked anew, by customer and period."""
    workshop = guarded.pipeline.workshop
    found = true_up_days(workshop, guarded.pipeline.control, guarded.writer, days)
    return {
        f"{each.figures.customer_id} {each.figures.reference}": each.booked for each in found if each.changed
    }


def account(guarded: GuardedCompany, customer_id: str = "acme") -> dict[str, int]:
    """Balances that are not 0."""
    query = text("SELECT * FROM guard_accounts WHERE customer_id = :customer_id")
    with guarded.pipeline.control.connect() as connection:
        row = connection.execute(query, {"customer_id": customer_id}).mappings().one()
    return {name: amount for name, amount in row.items() if isinstance(amount, int) and amount}


def test_spent_is_what_was_invoiced_and_a_second_run_changes_nothing(
    guarded: GuardedCompany, closed: Callable[..., None], usage: Callable[..., LogRecord]
) -> None:
    """1.2 cents were settled, 24 came without asking: the invoice is 25 cents, and so is the ledger."""
    guarded.grant(1)
    guarded.at("10-20T12:00").settled(tokens(1000))
    closed(
        *(("10-20T12:01", record) for record in guarded.sent()),
        ("10-20T13:00", usage("own", "2026-10-20T13:00:00Z", quantity="20000")),
        days=(FIRST, DAY, END),
    )
    (missing,) = missing_true_ups(guarded.pipeline.workshop, guarded.pipeline.control, [END])
    assert "no true-up of 2026-10-01 is booked, 238000000 nano-units are due" in missing
    assert true_up(guarded, DAY, END) == {"acme 2026-10-01": 25 * CENT - 12_000_000}
    assert account(guarded) == {"issued": -(10**9), "available": 75 * CENT, "spent": 25 * CENT}
    assert true_up(guarded, END) == {}
    assert guard_faults(guarded.pipeline.control) == []
    assert missing_true_ups(guarded.pipeline.workshop, guarded.pipeline.control, [END]) == []


def test_what_comes_to_a_period_later_is_in_the_next_true_up(
    guarded: GuardedCompany,
    closed: Callable[..., None],
    usage: Callable[..., LogRecord],
    correction: Callable[..., LogRecord],
) -> None:
    """A late event, a correction and a hold settled late: after the next period spent is the sum of both invoices."""
    guarded.at("10-20T12:00").settled(tokens(100_000, source="app", id="a"))
    late = guarded.at("10-31T23:59").held()
    closed(*(("10-20T12:01", record) for record in guarded.sent()), days=(FIRST, DAY, END))
    assert true_up(guarded, END) == {"acme 2026-10-01": 0}
    assert account(guarded)["spent"] == 120 * CENT
    guarded.at("11-01T12:00").ask(ExpireDue())
    guarded.ask(Settle(hold_id=late, usage=(tokens(50_000),)))
    (told,) = missing_true_ups(guarded.pipeline.workshop, guarded.pipeline.control, [END])
    assert "-600000000 nano-units came to 2026-10-01 after its true-up" in told
    november = START_US + 31 * DAY_US
    guarded.terms.for_all = made_terms(period_starts_at=november, period_ends_at=november + 30 * DAY_US)
    guarded.at("11-10T12:00").settled(tokens(10_000))
    closed(
        *(("11-10T12:01", record) for record in guarded.sent()),
        ("11-10T13:00", usage("late", "2026-10-20T13:00:00Z", quantity="20000")),
        ("11-10T14:00", correction("c", "a", "2026-11-10T14:00:00Z")),
        days=(NEXT, LAST),
    )
    # November: 12 cents settled, and -120 + 60 + 24 cents of adjustments of October, 60 of which were settled late.
    assert true_up(guarded, LAST) == {"acme 2026-11-01": (24 - 120) * CENT}
    assert account(guarded)["spent"] == (120 - 120 + 60 + 24 + 12) * CENT
    assert guard_faults(guarded.pipeline.control) == []


def test_whose_invoice_is_held_back_is_trued_up_with_the_next_one(
    guarded: GuardedCompany, closed: Callable[..., None], usage: Callable[..., LogRecord]
) -> None:
    """Otherwise the guard would give back what will be invoiced; customers that it does not know are left alone."""
    guarded.at("10-20T12:00").settled(tokens(10_000))
    closed(
        *(("10-20T12:01", record) for record in guarded.sent()),
        ("10-20T13:00", usage("x", "2026-10-20T13:00:00Z", dimensions={"model": "unheard-of"})),
        ("10-20T13:00", usage("y", "2026-10-20T13:00:00Z", customer_id="beta")),
        days=(FIRST, DAY, END),
    )
    assert true_up(guarded, END) == {}
    assert account(guarded)["spent"] == 12 * CENT


def test_fees_minimums_and_credit_are_in_one_ledger(
    new_pipeline: Callable[..., Pipeline],
    registered: Callable[..., list[LogRecord]],
    change: Callable[..., LogRecord],
    receive: Callable[..., None],
    close: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """A grant pays for all of the invoice, so the guard has spent all of it: both have the same left."""
    (tmp_path / "1.yaml").write_text(BOOK, "utf-8")
    pipeline = new_pipeline(load_rule_books(tmp_path))
    pipeline.guard_policies = without_limits(pipeline.books)
    guarded = GuardedCompany(pipeline, "team")
    guarded.grant(100)
    guarded.at("10-20T12:00").settled(Usage(unit="call", quantity="50"))
    grant: dict[str, object] = {"amount": "100.00", "currency": "usd", "reason": "Prepaid"}
    records = [
        *registered(plan="team"),
        change("credit_grant", "acme/g", "grant", FIRST, **grant),
        *registered("beta", plan="team"),
    ]
    entries = [("2026-10-01T02:00:00Z", record) for record in records]
    receive(pipeline, entries + [("2026-10-20T12:01:00Z", record) for record in guarded.sent()])
    close(pipeline, [FIRST, DAY, END])
    # 50 cents of calls, 20 dollars of seats, and what is missing to the commitment of 30.
    assert true_up(guarded, END) == {"acme 2026-10-01": 3000 * CENT - 50 * CENT}
    (credit,) = grant_credits(pipeline.workshop, pipeline.control)
    assert (credit.guard_left, credit.invoices_left) == (7000 * CENT, 7000 * CENT)
    assert guard_faults(pipeline.control) == []
    guarded.close()


@given(AMOUNT, AMOUNT, AMOUNT, AMOUNT)
def test_a_true_up_never_takes_back_more_than_was_spent(
    invoiced: int, settled: int, booked: int, others: int
) -> None:
    """And else brings the ledger to the invoices, to the nano-unit."""
    spent = max(settled + booked + others, 0)
    figures = AccountFigures("acme", "usd", FIRST, FIRST, invoiced, settled, booked, spent)
    assert spent + figures.amount >= 0
    if spent + invoiced - settled - booked >= 0:
        assert settled + booked + figures.amount == invoiced
