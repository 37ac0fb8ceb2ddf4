"""What stands around usage: every fee and term is a line of its own, taken from rounded lines, to the cent."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from billing_pipeline.rating.agreement import Agreement, Assignment, Override, Redemption
from billing_pipeline.rating.charges import MeteredQuantity, RatedPeriod
from billing_pipeline.rating.holdings import Rules
from billing_pipeline.rating.period_lines import Phase
from billing_pipeline.rating.rate import rate_period
from billing_pipeline.rating.rule_book import RuleBook, RuleBooks

OCTOBER = date(2026, 10, 1)
ReadBook = Callable[..., RuleBook]
PLANS = """
plans:
  pro:
    currency: usd
    trial_days: 10
    charges:
      - {name: seats, price: {model: flat_fee, amount: 31.00, pay: in_advance}}
      - {name: support, price: {model: flat_fee, amount: 10.00, prorate: false}}
      - {name: calls, meter: calls, price: {model: per_unit, unit_price: 0.01}}
      - {name: tokens, meter: tokens, price: {model: per_unit, unit_price: 2, per: 1000}}
    discounts:
      - {name: calls_off, percent: 10, applies_to: [calls]}
      - {name: all_off, amount: 5.00}
    minimums:
      - {name: commitment, amount: 62.00}
    maximums:
      - {name: calls_cap, amount: 80.00, applies_to: [calls]}
  basic:
    currency: usd
    charges:
      - {name: calls, meter: calls, price: {model: per_unit, unit_price: 0.02}}
      - {name: tokens, meter: tokens, price: {model: included, included: 3100, unit_price: 0.10}}
add_ons:
  extra:
    currency: usd
    charges: [{name: storage, price: {model: flat_fee, amount: 3.10}}]
coupons:
  half: {percent: 50, duration: 2, applies_to: [calls]}
  once: {percent: 50, duration: once}
  ever: {amount: 1.00, currency: usd, duration: forever}
"""


def used(quantity: int, *, day: int = 1, meter: str = "calls") -> MeteredQuantity:
    dimensions = '{"model":"a"}' if meter == "tokens" else "{}"
    usage_day = date(2026, 10, day)
    return MeteredQuantity("c", "p", meter, meter[:-1], dimensions, usage_day, "v1", Decimal(quantity), 1)


def on(plan: str, start: date = OCTOBER, until: date | None = None, trial_days: int | None = 0) -> Assignment:
    return Assignment(plan, start, until, trial_days)


def rate(book: RuleBook, agreement: Agreement, *rows: MeteredQuantity, phase: Phase = "final") -> RatedPeriod:
    return rate_period(agreement, OCTOBER, rows, Rules(RuleBooks((book,))), phase)


def minors(period: RatedPeriod) -> dict[tuple[str, str, str], int]:
    """By charge, component and term."""
    assert not period.unpriced
    return {(c.key.charge, c.key.component, c.key.term): c.amount_minor for c in period.charges}


def test_terms_follow_from_narrow_to_wide_each_from_the_lines_before_it(read_book: ReadBook) -> None:
    """100 of calls less 10 %, capped at 80; with fees 121, less 5: 116, above the minimum."""
    found = minors(rate(read_book(PLANS), Agreement("c", (on("pro"),)), used(10_000)))
    assert found == {
        ("calls", "usage", ""): 100_00,
        ("calls", "discount", "calls_off"): -10_00,
        ("calls", "maximum", "calls_cap"): -10_00,
        ("seats", "flat_fee", ""): 31_00,
        ("support", "flat_fee", ""): 10_00,
        ("", "discount", "all_off"): -5_00,
    }


def test_a_minimum_is_trued_up_at_the_end_of_the_period_only(read_book: ReadBook) -> None:
    """36.90 are charged, so 25.10 are missing; while the period runs nothing is, nor the fee in arrears."""
    book, agreement = read_book(PLANS), Agreement("c", (on("pro"),))
    final = minors(rate(book, agreement, used(100)))
    assert final["", "minimum", "commitment"] == 25_10
    assert sum(final.values()) == 62_00
    running = minors(rate(book, agreement, used(100), phase="running"))
    assert running == {
        ("calls", "usage", ""): 1_00,
        ("calls", "discount", "calls_off"): -10,
        ("seats", "flat_fee", ""): 31_00,
        ("", "discount", "all_off"): -5_00,
    }


def test_fees_in_advance_are_all_that_is_known_of_the_next_period(read_book: ReadBook) -> None:
    """With what comes off them already."""
    found = minors(rate(read_book(PLANS), Agreement("c", (on("pro"),)), phase="in_advance"))
    assert found == {("seats", "flat_fee", ""): 31_00, ("", "discount", "all_off"): -5_00}


def test_a_plan_for_a_part_of_the_period_owes_that_part_by_the_second(read_book: ReadBook) -> None:
    """Eleven of 31 days: 11.00 of 31.00 and 22.00 of the minimum; what is not prorated is due whole."""
    agreement = Agreement("c", (on("pro", until=date(2026, 10, 12)),))
    found = minors(rate(read_book(PLANS), agreement))
    assert found["seats", "flat_fee", ""] == 11_00
    assert found["support", "flat_fee", ""] == 10_00
    assert found["", "minimum", "commitment"] == 22_00 - (11_00 + 10_00 - 5_00)


def test_a_customer_closed_within_a_day_owes_up_to_that_second(read_book: ReadBook) -> None:
    """Half of the sixteenth day: exactly half of the month."""
    agreement = Agreement("c", (on("pro"),), closed_at=datetime(2026, 10, 16, 12, tzinfo=UTC))
    assert minors(rate(read_book(PLANS), agreement))["seats", "flat_fee", ""] == 15_50


def test_usage_in_a_trial_is_a_line_of_nothing_and_fees_start_after_it(read_book: ReadBook) -> None:
    """The plan's ten days are free; of the fee 21 of 31 days are due."""
    agreement = Agreement("c", (on("pro", trial_days=None),))
    found = minors(rate(read_book(PLANS), agreement, used(700, day=10), used(500, day=11)))
    assert found["calls", "usage", "trial"] == 0
    assert found["calls", "usage", ""] == 5_00
    assert found["seats", "flat_fee", ""] == 21_00


def test_a_change_of_plan_prorates_both_and_prices_each_day_by_its_own(read_book: ReadBook) -> None:
    """Included 3,100 tokens for 21 of 31 days are 2,100; the other ten days are the first plan's."""
    agreement = Agreement("c", (on("pro"), on("basic", date(2026, 10, 11))))
    period = rate(
        read_book(PLANS),
        agreement,
        *(used(100, day=10), used(100, day=11), used(1000, day=1, meter="tokens")),
        used(2105, day=31, meter="tokens"),
    )
    found = {(c.key.plan, c.key.charge): c.amount_minor for c in period.charges if c.key.term == ""}
    assert found["pro", "seats"] == 10_00
    assert (found["pro", "calls"], found["basic", "calls"]) == (1_00, 2_00)
    assert (found["pro", "tokens"], found["basic", "tokens"]) == (2_00, 50)


def test_an_add_on_multiplies_its_fee_and_is_prorated(read_book: ReadBook) -> None:
    """One for ten days, then three: 3.10 x (10 + 3 x 21) / 31."""
    add_ons = (
        Assignment("extra", OCTOBER),
        Assignment("extra", date(2026, 10, 11), quantity=3),
    )
    found = minors(rate(read_book(PLANS), Agreement("c", (on("basic"),), add_ons)))
    assert found == {("storage", "flat_fee", ""): 7_30}


def test_coupons_come_after_all_terms_and_never_below_nothing(read_book: ReadBook) -> None:
    """Half of the calls' 2.00, then 1.00 of what is left, then nothing more."""
    redeemed = (Redemption("half", date(2026, 9, 30)), Redemption("ever", date(2026, 1, 5)))
    agreement = Agreement("c", (on("basic"),), redemptions=redeemed)
    found = minors(rate(read_book(PLANS), agreement, used(100)))
    assert found == {
        ("calls", "usage", ""): 2_00,
        ("calls", "coupon", "half"): -1_00,
        ("", "coupon", "ever"): -1_00,
    }


@pytest.mark.parametrize(
    ("redeemed", "counts"),
    [
        (date(2026, 10, 31), True),
        (date(2026, 9, 1), True),
        (date(2026, 8, 31), False),
        (date(2026, 11, 1), False),
    ],
)
def test_a_coupon_holds_for_its_number_of_usage_periods(
    read_book: ReadBook, redeemed: date, *, counts: bool
) -> None:
    """Two of them, from the one in which it is redeemed."""
    agreement = Agreement("c", (on("basic"),), redemptions=(Redemption("half", redeemed),))
    found = minors(rate(read_book(PLANS), agreement, used(100)))
    assert (("calls", "coupon", "half") in found) == counts


def test_an_override_prices_its_days_and_tiers_run_through(read_book: ReadBook) -> None:
    """Its lines name it; the plan's own price holds before and after."""
    details = {"charge": "calls", "price": {"model": "per_unit", "unit_price": "0.005"}}
    deal = Override("deal", date(2026, 10, 10), date(2026, 10, 20), None, details)
    agreement = Agreement("c", (on("basic"),), overrides=(deal,))
    found = minors(rate(read_book(PLANS), agreement, *(used(100, day=day) for day in (9, 10, 19, 20))))
    assert found == {("calls", "usage", ""): 4_00, ("calls", "usage", "deal"): 1_00}


def test_an_overrides_terms_replace_the_plans_of_their_kind(read_book: ReadBook) -> None:
    """A smaller minimum, and the discounts as they were."""
    deal = Override("deal", OCTOBER, None, "pro", {"minimums": [{"name": "small", "amount": "50.00"}]})
    agreement = Agreement("c", (on("pro"),), overrides=(deal,))
    found = minors(rate(read_book(PLANS), agreement))
    assert found["", "minimum", "small"] == 50_00 - (31_00 + 10_00 - 5_00)


def test_an_override_that_cannot_be_read_beside_the_plan_leaves_its_usage_unpriced(
    read_book: ReadBook,
) -> None:
    """Never the plan's own price in its place."""
    deal = Override("deal", OCTOBER, None, None, {"charge": "calls", "price": {"model": "graduated"}})
    agreement = Agreement("c", (on("basic"),), overrides=(deal,))
    period = rate(read_book(PLANS), agreement, used(1))
    assert [fault.reason for fault in period.unpriced] == ["override_faulty"]


def test_fees_of_a_plan_that_the_version_lacks_are_told_not_forgotten(read_book: ReadBook) -> None:
    """A plan that is known in another version, say."""
    later = read_book(PLANS, version="v2", start="2026-11-01")
    early = read_book(PLANS.replace("  pro:", "  other:"))
    rules = Rules(RuleBooks((early, later)))
    period = rate_period(Agreement("c", (on("pro"),)), OCTOBER, (), rules)
    assert [(fault.reason, fault.rule_version) for fault in period.unpriced] == [
        ("plan_not_in_rule_book", "v1")
    ]
    assert "no such plan" in period.unpriced[0].message
