"""Whose period ends on a day, what the invoice answers for, and whose knowledge rates a usage period."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.contract.registry import Registry, RegistryChange
from billing_pipeline.invoicing.lines.invoice_periods import (
    BlockedPeriod,
    InvoicePeriod,
    answers_from,
    customers_ending,
    invoice_periods,
)

AUGUST = BlockedPeriod(date(2026, 8, 1), date(2026, 8, 31))
SEPTEMBER = BlockedPeriod(date(2026, 9, 1), date(2026, 9, 30))
OCTOBER = BlockedPeriod(date(2026, 10, 1), date(2026, 10, 31))


def registry(**anchor_days: int) -> Registry:
    return Registry(
        RegistryChange("customer", customer_id, "register", date(2026, 1, 1), {"anchor_day": anchor_day})
        for customer_id, anchor_day in anchor_days.items()
    )


def test_a_period_ends_on_the_day_before_the_anchor_day() -> None:
    known = registry(first=1, middle=15, last=31)
    assert customers_ending(known, date(2026, 10, 31)) == ["first"]
    assert customers_ending(known, date(2026, 10, 14)) == ["middle"]
    assert customers_ending(known, date(2026, 10, 30)) == ["last"]
    assert customers_ending(known, date(2026, 10, 20)) == []


def test_an_anchor_day_beyond_the_end_of_a_month_starts_on_its_last_day() -> None:
    assert customers_ending(registry(last=31), date(2026, 2, 27)) == ["last"]
    assert customers_ending(registry(last=31), date(2026, 3, 30)) == ["last"]


def test_an_invoice_rates_every_usage_period_posted_into_its_period() -> None:
    (period,) = invoice_periods(
        registry(acme=1),
        date(2026, 10, 31),
        [
            ("acme", date(2026, 10, 3), date(2026, 8, 20)),
            ("acme", date(2026, 10, 31), date(2026, 10, 31)),
            ("acme", date(2026, 9, 30), date(2026, 9, 30)),
            ("acme", date(2026, 11, 1), date(2026, 7, 1)),
        ],
        {},
        {},
    )
    assert period == InvoicePeriod(
        "acme", 1, date(2026, 10, 1), date(2026, 10, 31), (date(2026, 8, 1), date(2026, 10, 1))
    )


def test_a_customer_without_postings_or_with_an_open_period_has_no_invoice() -> None:
    postings = [("middle", date(2026, 10, 10), date(2026, 10, 10))]
    assert invoice_periods(registry(acme=1, middle=15), date(2026, 10, 31), postings, {}, {}) == []


def test_usage_periods_follow_the_customers_own_anchor_day() -> None:
    postings = [
        ("acme", date(2026, 10, 14), date(2026, 9, 14)),
        ("acme", date(2026, 10, 14), date(2026, 9, 15)),
    ]
    (period,) = invoice_periods(registry(acme=15), date(2026, 10, 14), postings, {}, {})
    assert (period.start, period.end) == (date(2026, 9, 15), date(2026, 10, 14))
    assert period.usage_periods == (date(2026, 8, 15), date(2026, 9, 15))


def test_an_invoice_after_a_blocked_one_rates_all_that_one_should_have_rated() -> None:
    """Also what had a price: a blocked invoice has booked nothing at all."""
    postings = [
        ("acme", date(2026, 9, 5), date(2026, 7, 20)),
        ("acme", date(2026, 9, 6), date(2026, 9, 6)),
        ("acme", date(2026, 10, 6), date(2026, 10, 6)),
    ]
    (period,) = invoice_periods(registry(acme=1), date(2026, 10, 31), postings, {"acme": [SEPTEMBER]}, {})
    assert (period.start, period.end) == (date(2026, 10, 1), date(2026, 10, 31))
    assert period.usage_periods == (date(2026, 7, 1), date(2026, 9, 1), date(2026, 10, 1))


@pytest.mark.parametrize(
    ("blocked", "first"),
    [
        ([], date(2026, 10, 1)),
        ([SEPTEMBER], date(2026, 9, 1)),
        ([AUGUST, SEPTEMBER], date(2026, 8, 1)),
        ([SEPTEMBER, AUGUST], date(2026, 8, 1)),
        ([AUGUST], date(2026, 10, 1)),
    ],
)
def test_an_invoice_answers_for_the_unbroken_row_of_blocked_ones_before_it(
    blocked: list[BlockedPeriod], first: date
) -> None:
    """One that was blocked longer ago has been made good by the invoice that was made since."""
    assert answers_from(date(2026, 10, 1), blocked) == first


def test_a_usage_period_that_is_owed_is_rated_without_postings() -> None:
    """Its fees are due all the same, and what is re-rated is looked at again."""
    owed = {"acme": {date(2026, 8, 1), date(2026, 10, 1)}}
    (period,) = invoice_periods(registry(acme=1), date(2026, 10, 31), [], {}, owed)
    assert period.usage_periods == (date(2026, 8, 1), date(2026, 10, 1))


@given(st.integers(1, 31), st.integers(0, 800))
def test_the_periods_of_every_anchor_day_leave_no_day_out(anchor_day: int, days: int) -> None:
    """Between the end of a period and that of the next one lies exactly the next period."""
    day = date(2026, 1, 1) + timedelta(days=days)
    known = registry(acme=anchor_day)
    while not customers_ending(known, day):
        day += timedelta(days=1)
    (period,) = invoice_periods(known, day, [("acme", day, day)], {}, {})
    assert customers_ending(known, period.start - timedelta(days=1)) == ["acme"]
    assert period.usage_period(period.start) == period.usage_period(period.end) == period.start
