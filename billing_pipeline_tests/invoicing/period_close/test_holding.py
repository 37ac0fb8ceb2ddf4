"""What keeps an invoice from being finalized, and the approvals that let it go."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import Engine, insert
from sqlalchemy.exc import DatabaseError

from billing_pipeline.control.database import open_control, writing
from billing_pipeline.control.guard_tables import GUARD_REVIEWS
from billing_pipeline.control.invoice_tables import INVOICE_APPROVALS, STRIPE_DELIVERIES
from billing_pipeline.invoicing.period_close.approvals import approve
from billing_pipeline.invoicing.period_close.holding import Holding, read_holding
from billing_pipeline.invoicing.period_close.push_stage import BilledDay, told_twice
from billing_pipeline.invoicing.policies.policy import InvoicingPolicies, InvoicingPolicy
from billing_pipeline.invoicing.push.billed import BilledLine
from billing_pipeline.invoicing.push.planned import PlannedInvoice, PlannedLine

OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
POLICIES = InvoicingPolicies(
    by_plan={"checked": InvoicingPolicy(approval="required"), "free": InvoicingPolicy(zero_invoices="skip")}
)


@pytest.fixture
def control(migrated_url: str) -> Iterator[Engine]:
    """Both databases."""
    engine = open_control(migrated_url)
    yield engine
    engine.dispose()


def _invoice(plan: str, *amounts: int) -> PlannedInvoice:
    return PlannedInvoice(
        customer_id="acme",
        customer_name="Acme",
        billing_period=NOVEMBER,
        currency="usd",
        lines=tuple(
            PlannedLine(
                line_id=f"line-{number}",
                description="Usage",
                amount_minor=amount,
                quantity_text="",
                metadata={"plan": plan},
            )
            for number, amount in enumerate(amounts)
        ),
    )


def test_an_approval_is_of_the_lines_as_they_are(control: Engine) -> None:
    """Other amounts need another one, and the message says that the lines have changed."""
    invoice = _invoice("checked", 100, 50)
    assert "waits for approval: `billing invoice approve acme 2026-11" in read_holding(
        control, POLICIES
    ).hold(invoice)
    assert approve(control, invoice, "cfo", "looked at it")
    assert not approve(control, invoice, "cfo", "again")
    assert read_holding(control, POLICIES).hold(invoice) == ""
    changed = _invoice("checked", 100, 51)
    assert "its lines have changed since it was approved" in read_holding(control, POLICIES).hold(changed)
    assert read_holding(control, POLICIES).hold(_invoice("basic", 1)) == ""


def test_approvals_are_kept_for_good(control: Engine) -> None:
    """Nobody takes one back by a change of its row."""
    approve(control, _invoice("checked", 100), "cfo", "looked at it")
    with pytest.raises(DatabaseError, match="append-only"), writing(control) as connection:
        connection.execute(INVOICE_APPROVALS.delete())


def test_an_open_review_holds_its_customer_only(control: Engine) -> None:
    """Until it is decided; every open one is named."""
    values: dict[str, object] = {column.name: "" for column in GUARD_REVIEWS.columns if not column.nullable}
    values |= {"kind": "velocity", "currency": "usd", "evidence": "{}", "scope": "customer"}
    with writing(control) as connection:
        for number, (customer_id, decided) in enumerate([("acme", None), ("acme", None), ("beta", 5)]):
            row = {"review_id": f"{number:032x}", "customer_id": customer_id, "opened_at": 10 - number}
            connection.execute(insert(GUARD_REVIEWS).values({**values, **row, "decided_at": decided}))
    holding = read_holding(control, POLICIES)
    told = holding.hold(_invoice("basic", 1))
    assert f"open review {1:032x}, {0:032x} of the guard" in told
    assert holding.hold(replace(_invoice("basic", 1), customer_id="beta")) == ""


@pytest.mark.parametrize(
    ("plan", "amounts", "skipped"), [("free", (5, -5), True), ("free", (5,), False), ("basic", (0,), False)]
)
def test_zero_is_skipped_where_the_plan_says_so(
    plan: str, amounts: tuple[int, ...], *, skipped: bool
) -> None:
    """By the sum of its lines; an invoice that is worth something always goes out."""
    assert bool(Holding(POLICIES, frozenset(), {}).skip(_invoice(plan, *amounts))) is skipped


def _line(**fields: object) -> BilledLine:
    values: dict[str, object] = {
        "customer_id": "acme",
        "billing_period": NOVEMBER,
        "currency": "usd",
        "line_id": "line-0",
        "description": "Usage",
        "amount_minor": 100,
        "quantity": Decimal(1),
        "unit": "call",
        "kind": "adjustment",
        "component": "usage",
        "term": "",
        "plan": "metered",
        "project_id": "p",
        "usage_period": OCTOBER,
        "reason": "blocked_before",
        "rule_version": "1",
        "evidence_digest": "d",
    }
    return BilledLine(**{**values, **fields})  # type: ignore[arg-type]  # as declared


def test_usage_that_stripe_was_told_of_in_a_blocked_period_is_held_until_approved(control: Engine) -> None:
    """The next invoice has all of it as adjustments; nobody pays for it twice without a person's word."""
    with writing(control) as connection:
        row = {"customer_id": "acme", "plan": "metered", "billing_period": "2026-10-01"}
        row |= {"account": "acct/test", "delivery": "meter_events"}
        connection.execute(insert(STRIPE_DELIVERIES).values(**row, recorded_at=1))
    blocked = frozenset({("acme", OCTOBER)})
    twice = told_twice(control, "acct/test", BilledDay((_line(),), {}, blocked))
    assert list(twice) == [("acme", NOVEMBER, "usd")]
    invoice = _invoice("basic", 100)
    holding = replace(read_holding(control, POLICIES), told_twice=twice)
    assert "which Stripe was told of as meter events" in holding.hold(invoice)
    approve(control, invoice, "cfo", "taken back in Stripe")
    assert replace(read_holding(control, POLICIES), told_twice=twice).hold(invoice) == ""
    for line, days in (
        (_line(), frozenset()),
        (_line(plan="rated"), blocked),
        (_line(component="flat_fee"), blocked),
    ):
        assert told_twice(control, "acct/test", BilledDay((line,), {}, days)) == {}
    assert told_twice(control, "acct/other", BilledDay((_line(),), {}, blocked)) == {}
