"""What is booked is the new whole minus what was booked, so any later changes sum to the right whole."""

from datetime import UTC, date, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.rating.adjustments import (
    NOTHING_BOOKED,
    Booked,
    InvoiceRating,
    UsagePeriod,
    rate_invoice,
)
from billing_pipeline.rating.agreement import Agreement, Assignment
from billing_pipeline.rating.charge_models.graduated import Graduated
from billing_pipeline.rating.charge_models.tiers import Tier
from billing_pipeline.rating.charge_models.unit_price import UnitPrice
from billing_pipeline.rating.charges import LineKey, MeteredQuantity
from billing_pipeline.rating.holdings import Rules
from billing_pipeline.rating.rate import rate_period
from billing_pipeline.rating.rule_book import Charge, Meter, Plan, RuleBook, RuleBooks

OCTOBER, NOVEMBER, DECEMBER = date(2026, 10, 1), date(2026, 11, 1), date(2026, 12, 1)
BASIC = Agreement("c", (Assignment("basic", date.min),))
PRICE = Graduated(
    (
        Tier(Decimal(0), Decimal(10), UnitPrice(Decimal("0.333")), Decimal("0.5")),
        Tier(Decimal(10), None, UnitPrice(Decimal("0.0071"))),
    )
)
BOOKS = RuleBooks(
    (
        RuleBook(
            version="v1",
            effective_from=datetime(2026, 1, 1, tzinfo=UTC),
            content_hash="0" * 64,
            units=frozenset({"call"}),
            meters={"calls": Meter("calls", "call", "sum", ("tool",))},
            plans={"basic": Plan("basic", "usd", (Charge("calls", "calls", PRICE),))},
        ),
    )
)


def row(quantity: str | Decimal, tool: str = "a", day: date = OCTOBER) -> MeteredQuantity:
    dimensions = f'{{"tool":"{tool}"}}'
    return MeteredQuantity("c", "p", "calls", "call", dimensions, day, "v1", Decimal(quantity), 1)


def bill(quantities: dict[date, list[MeteredQuantity]], booked: dict[LineKey, Booked]) -> InvoiceRating:
    return rate_invoice(
        [UsagePeriod(start, BASIC, rows) for start, rows in quantities.items()], booked, Rules(BOOKS)
    )


def dues(rating: InvoiceRating) -> dict[tuple[date, str], int]:
    return {
        (booking.charge.key.usage_period, booking.charge.key.dimensions[9]): booking.due_minor
        for booking in rating.bookings
    }


def post(booked: dict[LineKey, Booked], rating: InvoiceRating) -> None:
    for booking in rating.bookings:
        before = booked.get(booking.charge.key, NOTHING_BOOKED)
        booked[booking.charge.key] = Booked(before.amount_minor + booking.due_minor, booking.charge.quantity)


def test_late_usage_books_the_difference_for_its_own_period() -> None:
    """A late unit in front moves the ones behind it into the cheaper tier."""
    booked: dict[LineKey, Booked] = {}
    first = bill({OCTOBER: [row("9", "b")]}, booked)
    assert dues(first) == {(OCTOBER, "b"): 350}
    post(booked, first)
    second = bill({OCTOBER: [row("9", "b"), row("5", "a")], NOVEMBER: [row("1", "a", NOVEMBER)]}, booked)
    assert dues(second) == {(OCTOBER, "a"): 217, (OCTOBER, "b"): 169 - 350, (NOVEMBER, "a"): 83}
    assert [booking.is_new for booking in second.bookings] == [True, False, True]


def test_a_key_that_vanishes_is_taken_back_in_full() -> None:
    """Its line stays, with quantity and amount 0."""
    booked: dict[LineKey, Booked] = {}
    post(booked, bill({OCTOBER: [row("3")]}, booked))
    rating = bill({OCTOBER: [row("3"), row("-3")]}, booked)
    (booking,) = rating.bookings
    assert (booking.before.amount_minor, booking.due_minor, booking.is_new) == (150, -150, False)
    assert (str(booking.charge.quantity), str(booking.charge.amount), booking.charge.unit) == (
        "0",
        "0",
        "call",
    )
    post(booked, rating)
    assert dues(bill({OCTOBER: [row("3"), row("-3")]}, booked)) == {(OCTOBER, "a"): 0}


def test_periods_that_are_not_touched_are_left_alone() -> None:
    """What was booked for September is not taken back because no row of it is given."""
    key = LineKey("c", "p", date(2026, 9, 1), "basic", "calls", "calls", "{}", "v1", "usd")
    other = LineKey("d", "p", OCTOBER, "basic", "calls", "calls", "{}", "v1", "usd")
    assert dues(bill({OCTOBER: [row("1")]}, {key: Booked(5, Decimal(1)), other: Booked(7, Decimal(1))})) == {
        (OCTOBER, "a"): 83
    }


def test_unpriced_usage_of_any_touched_period_is_told() -> None:
    """Also where it came late."""
    rating = rate_invoice([UsagePeriod(OCTOBER, Agreement("c"), [row("1")])], {}, Rules(BOOKS))
    assert [fault.reason for fault in rating.unpriced] == ["no_plan"]


CHANGES = st.lists(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.decimals(min_value=0, max_value=20, places=4), st.booleans()),
        max_size=4,
    ),
    min_size=1,
    max_size=6,
)


@given(CHANGES)
def test_any_sequence_of_later_changes_sums_to_the_right_whole(
    changes: list[list[tuple[str, Decimal, bool]]],
) -> None:
    """Additions and take-backs over many invoice periods telescope to the rounded whole of each key."""
    rows: list[MeteredQuantity] = []
    booked: dict[LineKey, Booked] = {}
    for month in changes:
        for tool, quantity, is_taken_back in month:
            rows.append(row(quantity, tool))
            if is_taken_back:
                rows.append(row(-quantity, tool))
        post(booked, bill({OCTOBER: rows}, booked))
    whole = rate_period(BASIC, OCTOBER, rows, Rules(BOOKS))
    assert {key: each.amount_minor for key, each in booked.items() if each.amount_minor} == {
        charge.key: charge.amount_minor for charge in whole.charges if charge.amount_minor
    }
