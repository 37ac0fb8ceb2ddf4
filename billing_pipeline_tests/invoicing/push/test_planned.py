from dataclasses import replace
from datetime import date
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.errors import StripeAmountError
from billing_pipeline.invoicing.push.plan import StripePlan, differences, idempotency_key, stripe_plan
from billing_pipeline.invoicing.push.planned import PlannedInvoice, PlannedLine, invoice_faults
from billing_pipeline.invoicing.stripe.amounts import stripe_amount_fault, to_stripe_amount
from billing_pipeline.invoicing.stripe.port import StripeInvoice, StripeLine

_LINES = st.lists(
    st.builds(
        PlannedLine,
        line_id=st.text("abcdef0123456789", min_size=1, max_size=6),
        description=st.text("Tokens é%&", max_size=20),
        amount_minor=st.integers(-(10**9), 10**9),
        quantity_text=st.just("1"),
    ),
    min_size=1,
    max_size=230,
    unique_by=lambda line: line.line_id,
)


def _invoice(lines: list[PlannedLine], currency: str = "usd") -> PlannedInvoice:
    return PlannedInvoice(
        customer_id="ada",
        customer_name="Ada",
        billing_period=date(2026, 10, 1),
        currency=currency,
        lines=tuple(lines),
    )


def _as_stripe(plan: StripePlan) -> tuple[StripeInvoice, list[StripeLine]]:
    lines = [
        StripeLine(stripe_line_id="il", line_id=line_id, amount=amount, currency="usd")
        for line_id, amount in plan.amounts().items()
    ]
    total = sum(line.amount for line in lines)
    return StripeInvoice(invoice_id="in_1", status="draft", currency="usd", total=total, metadata={}), lines


@given(_LINES, st.randoms(use_true_random=False))
def test_the_hash_is_of_what_is_owed(lines: list[PlannedLine], random: Random) -> None:
    """Order and wording do not count; one minor unit does."""
    invoice = _invoice(lines)
    shuffled = [replace(line, description="other words") for line in lines]
    random.shuffle(shuffled)
    assert _invoice(shuffled).lines_hash() == invoice.lines_hash()
    changed = [replace(lines[0], amount_minor=lines[0].amount_minor + 1), *lines[1:]]
    assert _invoice(changed).lines_hash() != invoice.lines_hash()
    assert _invoice(lines, "eur").lines_hash() != invoice.lines_hash()


@given(_LINES)
def test_a_plan_survives_the_outbox_and_equals_itself_in_stripe(lines: list[PlannedLine]) -> None:
    """JSON and back is the same plan; what it makes in Stripe has no differences to it."""
    plan = stripe_plan(_invoice(lines), 1)
    assert StripePlan.from_json(plan.to_json()) == plan
    assert sum(plan.amounts().values()) == _invoice(lines).total_minor
    assert differences(plan, *_as_stripe(plan)) == []


@given(_LINES, st.data())
def test_every_single_change_in_stripe_is_seen(lines: list[PlannedLine], data: st.DataObject) -> None:
    """A line missing, twice, foreign, with another amount or currency, or another total: never equal."""
    plan = stripe_plan(_invoice(lines), 1)
    invoice, there = _as_stripe(plan)
    line = data.draw(st.sampled_from(there))
    rest = [other for other in there if other is not line]
    for changed in (
        rest,
        [*there, line],
        [*there, replace(line, line_id=None)],
        [*rest, replace(line, line_id="zz")],
        [*rest, replace(line, amount=line.amount + 1)],
        [*rest, replace(line, currency="eur")],
    ):
        assert differences(plan, invoice, changed)
    assert differences(plan, replace(invoice, total=invoice.total + 1), there)
    assert differences(plan, replace(invoice, currency="eur"), there)


def test_all_faults_of_an_invoice_are_named() -> None:
    """Too many lines, a repeated id, long texts, bad metadata and impossible amounts, each with its line."""
    line = PlannedLine(line_id="a", description="x" * 501, amount_minor=1, quantity_text="q" * 501)
    bad_metadata = PlannedLine(
        line_id="", description="", amount_minor=10**12, quantity_text="", metadata={"k" * 41: "", "[": ""}
    )
    faults = invoice_faults(_invoice([line, line, bad_metadata]))
    parts = (
        "not unique: a",
        "description is longer",
        "'quantity' is longer",
        "line id must",
        "lie between",
        "'['",
    )
    for part in parts:
        assert any(part in fault for fault in faults), part
    many = [
        PlannedLine(line_id=str(n), description="", amount_minor=1, quantity_text="1") for n in range(251)
    ]
    assert ["251 lines" in fault for fault in invoice_faults(_invoice(many))] == [True]
    assert invoice_faults(_invoice(many[:250])) == []


@pytest.mark.parametrize(
    ("currency", "minor", "stripe_amount"),
    [
        ("usd", -150, -150),
        ("jpy", 5, 5),
        ("kwd", 5120, 5120),
        ("isk", 5, 500),
        ("ugx", 5, 500),
        ("mga", 500, 5),
    ],
)
def test_amounts_are_turned_into_stripes_integers(currency: str, minor: int, stripe_amount: int) -> None:
    """Exactly, and always into something that Stripe accepts."""
    assert to_stripe_amount(minor, currency) == stripe_amount
    assert stripe_amount_fault(stripe_amount, currency) is None


@pytest.mark.parametrize(
    ("currency", "minor"), [("kwd", 5124), ("kwd", -1), ("mga", 501), ("clf", 10), ("usd", 10**11)]
)
def test_amounts_are_never_rounded(currency: str, minor: int) -> None:
    """What Stripe cannot hold is an error that carries currency and amount."""
    with pytest.raises(StripeAmountError) as caught:
        to_stripe_amount(minor, currency)
    assert (caught.value.currency, caught.value.amount_minor) == (currency, minor)


def test_keys_are_deterministic_and_differ_in_every_part() -> None:
    """The same in every process and release; anything else about a request is another key."""
    key = idempotency_key("acct/test", "add_lines", "ada/2026-10-01/usd/1", 0, 0)
    assert key == "add_lines-8205a3a35dc5a9e95c76c93ffd2e7736ecd56648"
    others = [
        idempotency_key("acct/live", "add_lines", "ada/2026-10-01/usd/1", 0, 0),
        idempotency_key("acct/test", "create_invoice", "ada/2026-10-01/usd/1", 0, 0),
        idempotency_key("acct/test", "add_lines", "ada/2026-10-01/usd/2", 0, 0),
        idempotency_key("acct/test", "add_lines", "ada/2026-10-01/usd/1", 1, 0),
        idempotency_key("acct/test", "add_lines", "ada/2026-10-01/usd/1", 0, 1),
    ]
    assert len({key, *others}) == 6
