"""Laws of a usage period: any cut into runs sums to the whole, order does not matter, no cent comes or goes."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_pipeline.rating.adjustments import NOTHING_BOOKED, Booked, UsagePeriod, rate_invoice
from billing_pipeline.rating.agreement import Agreement, Assignment, CreditGrant, Override, Redemption
from billing_pipeline.rating.charges import LineKey, MeteredQuantity
from billing_pipeline.rating.holdings import Rules
from billing_pipeline.rating.invoice_terms import invoice_terms
from billing_pipeline.rating.period_lines import Phase
from billing_pipeline.rating.rate import rate_period
from billing_pipeline.rating.rule_book import RuleBooks
from billing_pipeline.rating.rule_book_yaml import load_rule_book

OCTOBER, LAST = date(2026, 10, 1), date(2026, 10, 31)
BOOK = """
version: {version}
effective_from: {start}T00:00:00Z
units: [call, token, usd]
meters:
  calls: {{unit: call, aggregation: sum, group_by: [tool]}}
  tokens: {{unit: token, aggregation: sum}}
  paid: {{unit: usd, aggregation: sum}}
plans:
  all:
    currency: usd
    charges:
      - {{name: base, price: {{model: flat_fee, amount: 9.99, pay: in_advance}}}}
      - {{name: later, price: {{model: flat_fee, amount: 3.33}}}}
      - name: calls
        meter: calls
        price: {{model: graduated, tiers: [{{up_to: 7.5, unit_price: {first}, flat_fee: 0.4}}, {{unit_price: 0.0071}}]}}
      - name: boxes
        meter: calls
        price: {{model: package, size: 4, unit_price: 0.25, free_units: 1}}
      - name: tokens
        meter: tokens
        price: {{model: volume, tiers: [{{up_to: 10, unit_price: 0.3}}, {{unit_price: {first}, flat_fee: 1}}]}}
      - name: over
        meter: tokens
        price: {{model: included, included: 5, unit_price: 0.017}}
      - {{name: fees, meter: paid, price: {{model: percentage, percent: 2.9, fixed_fee: 0.3, free_events: 2}}}}
    discounts: [{{name: off, percent: 7.7, applies_to: [calls]}}]
    minimums: [{{name: least, amount: 25.00}}]
    maximums: [{{name: most, amount: 30.00, applies_to: [tokens]}}]
coupons:
  third: {{percent: 33.3, duration: 3}}
"""


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> RuleBooks:
    folder = tmp_path_factory.mktemp("books")
    for version, start, first in (("v1", "2026-01-01", "0.333"), ("v2", "2026-10-16", "0.21")):
        text = BOOK.format(version=version, start=start, first=first)
        (folder / f"{version}.yaml").write_text(dedent(text), "utf-8")
    return RuleBooks(tuple(load_rule_book(folder / f"{version}.yaml") for version in ("v1", "v2")))


DEAL = Override(
    "deal", date(2026, 10, 5), date(2026, 10, 25), None,
    {"charge": "calls", "price": {"model": "per_unit", "unit_price": "0.0123"}},
)  # fmt: skip
AGREEMENT = Agreement(
    "c",
    (Assignment("all", date(2026, 10, 3), trial_days=4),),
    overrides=(DEAL,),
    redemptions=(Redemption("third", date(2026, 9, 3)),),
)
ROWS = st.lists(
    st.builds(
        lambda meter, tool, day, quantity, events: MeteredQuantity(
            *("c", "p", meter, {"calls": "call", "tokens": "token", "paid": "usd"}[meter]),
            '{"tool":"%s"}' % tool if meter == "calls" else "{}",  # noqa: UP031 - braces
            *(date(2026, 10, day), "v1" if day < 16 else "v2", quantity, events),
        ),
        st.sampled_from(["calls", "tokens", "paid"]),
        st.sampled_from("ab"),
        st.integers(3, 31),
        st.decimals(min_value=0, max_value=20, places=3),
        st.integers(1, 3),
    ),
    max_size=14,
)
LAWS = settings(max_examples=25, deadline=None)


def book_runs(
    books: RuleBooks, runs: Sequence[tuple[Sequence[MeteredQuantity], Phase]]
) -> dict[LineKey, int]:
    """What all runs of one usage period have booked in the end, each with all that was there by then."""
    booked: dict[LineKey, Booked] = {}
    for rows, phase in runs:
        rating = rate_invoice([UsagePeriod(OCTOBER, AGREEMENT, rows, phase)], booked, Rules(books))
        assert not rating.unpriced
        for booking in rating.bookings:
            before = booked.get(booking.charge.key, NOTHING_BOOKED)
            minor = before.amount_minor + booking.due_minor
            booked[booking.charge.key] = Booked(minor, booking.charge.quantity)
    return {key: each.amount_minor for key, each in booked.items() if each.amount_minor}


@LAWS
@given(rows=ROWS, cuts=st.lists(st.integers(0, 14), max_size=4))
def test_any_cut_of_a_period_into_runs_sums_to_the_whole(
    books: RuleBooks, rows: list[MeteredQuantity], cuts: list[int]
) -> None:
    """Fees in advance first, then whatever is there at each cut, then the final rating; key by key."""
    runs: list[tuple[Sequence[MeteredQuantity], Phase]] = [((), "in_advance")]
    runs += [(rows[:cut], "running") for cut in sorted(cuts)]
    assert book_runs(books, [*runs, (rows, "final")]) == book_runs(books, [(rows, "final")])


@LAWS
@given(rows=ROWS, randomly=st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(
    books: RuleBooks, rows: list[MeteredQuantity], randomly: object
) -> None:
    """The same charges with the same parts."""
    shuffled = sorted(rows, key=lambda _: randomly.random())  # type: ignore[attr-defined]  # a random.Random
    assert rate_period(AGREEMENT, OCTOBER, rows, Rules(books)) == rate_period(
        AGREEMENT, OCTOBER, shuffled, Rules(books)
    )


@LAWS
@given(rows=ROWS)
def test_no_line_rounds_away_more_than_half_a_cent_and_no_period_is_below_nothing(
    books: RuleBooks, rows: list[MeteredQuantity]
) -> None:
    """Every line is its exact amount rounded once; minimum and coupon bind the sum of the rounded lines."""
    charges = rate_period(AGREEMENT, OCTOBER, rows, Rules(books)).charges
    for charge in charges:
        assert abs(charge.amount_minor - charge.amount * 100) <= Decimal("0.5")
    before_coupon = sum(charge.amount_minor for charge in charges if charge.key.component != "coupon")
    least = Fraction(25_00 * 25, 31)  # from 7 October on, after the trial
    assert before_coupon >= round(least)
    assert 0 <= sum(charge.amount_minor for charge in charges) <= before_coupon


GRANTS = st.lists(
    st.builds(
        CreditGrant,
        grant_id=st.uuids().map(str),
        currency=st.sampled_from(["usd", "usd", "eur"]),
        amount=st.decimals(min_value=0, max_value=40, places=2),
        start=st.just(date(2026, 9, 1)),
        priority=st.integers(0, 2),
        expires=st.one_of(st.none(), st.dates(date(2026, 10, 30), date(2026, 11, 2))),
        charges=st.sampled_from([frozenset(), frozenset({"calls"}), frozenset({"base", "tokens"})]),
        voided_from=st.none(),
    ),
    max_size=5,
)


@LAWS
@given(rows=ROWS, grants=GRANTS)
def test_credits_never_go_below_nothing_and_neither_does_what_they_pay(
    books: RuleBooks, rows: list[MeteredQuantity], grants: list[CreditGrant]
) -> None:
    """Over three invoices of the same usage; a grant that could still have paid is used up, or nothing is due."""
    agreement = Agreement("c", AGREEMENT.assignments, grants=tuple(grants))
    booked: dict[LineKey, Booked] = {}
    for _ in range(3):
        bookings = rate_invoice([UsagePeriod(OCTOBER, agreement, rows)], {}, Rules(books)).bookings
        due = sum(booking.due_minor for booking in bookings)
        paid = invoice_terms(bookings, booked, agreement, books, (OCTOBER, LAST))
        drawn = -sum(booking.due_minor for booking in paid)
        assert 0 <= drawn <= due
        for number, booking in enumerate(paid):
            assert booking.due_minor < 0
            # Each invoice has its own keys; here the periods stand for one another.
            key = LineKey("c", "", date(2000, 1, 1 + len(booked)), "", str(number), "", "{}", "v1", "usd",
                          "credit", booking.charge.key.term)  # fmt: skip
            booked[key] = Booked(booking.due_minor, Decimal())
        spent = {grant.grant_id: 0 for grant in grants}
        for key, before in booked.items():
            spent[key.term] -= before.amount_minor
        for grant in grants:
            assert 0 <= spent[grant.grant_id] <= grant.amount * 100
            pays = (
                grant.currency == "usd" and not grant.charges and (not grant.expires or grant.expires > LAST)
            )
            assert not pays or drawn == due or spent[grant.grant_id] == grant.amount * 100


def test_grants_pay_by_priority_then_expiry_then_creation(books: RuleBooks) -> None:
    """The last one only what is left, and nothing once it has expired."""
    soon, later = date(2026, 11, 5), date(2026, 12, 1)
    grants = (
        CreditGrant("never", "usd", Decimal(50), OCTOBER),
        CreditGrant("later", "usd", Decimal(2), OCTOBER, expires=later),
        CreditGrant("soon", "usd", Decimal(1), OCTOBER, expires=soon),
        CreditGrant("first", "usd", Decimal(3), OCTOBER, priority=-1),
        CreditGrant("over", "usd", Decimal(9), OCTOBER, expires=LAST),
        CreditGrant("void", "usd", Decimal(9), OCTOBER, voided_from=LAST),
    )
    agreement = Agreement("c", (Assignment("all", OCTOBER),), grants=grants)
    bookings = rate_invoice([UsagePeriod(OCTOBER, agreement)], {}, Rules(books)).bookings
    paid = invoice_terms(bookings, {}, agreement, books, (OCTOBER, LAST))
    assert [(b.charge.key.term, b.due_minor) for b in paid] == [
        ("first", -300),
        ("soon", -100),
        ("later", -200),
        ("never", -1900),
    ]
