"""Percentages of money with fixed fees: together through the period, or event by event where there are bounds."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from billing_pipeline.rating.charge_models.price import NoPrice, Part, Price

Amounts = Callable[..., list[Fraction]]
Rate = Callable[..., list[Any]]
Read = Callable[[str], Price]

PRICE = "{model: percentage, percent: 2.9, fixed_fee: 0.30}"
FREE = "{model: percentage, percent: 2.9, fixed_fee: 0.30, free_events: 2, free_amount: 50}"
BOUNDED = (
    "{model: percentage, percent: 2.9, fixed_fee: 0.30, per_event_min: 0.50, per_event_max: 10, "
    "amount_dimension: paid}"
)


@pytest.mark.parametrize(
    ("price", "quantity", "events", "amount"),
    [
        (PRICE, "100", 1, "3.20"),
        (PRICE, "250", 4, "8.45"),
        (PRICE, "0.000000001", 1, "0.300000000029"),
        (FREE, "50", 2, "0"),
        (FREE, "50.01", 2, "0.00029"),
        (FREE, "40", 3, "0.30"),
        (FREE, "150", 5, "3.80"),
        ("{model: percentage, percent: 0.000000001}", "0.000000001", 1, "0.00000000000000000001"),
        ("{model: percentage, percent: 120}", "10", 1, "12"),
    ],
)
def test_percentage_and_fixed_fee_above_what_is_free(
    read: Read, amounts: Amounts, price: str, quantity: str, events: int, amount: str
) -> None:
    """The amount is free up to its limit, fees up to theirs, each by itself."""
    assert amounts(read(price), (quantity, events)) == [Fraction(amount)]


def test_rows_use_up_what_is_free_one_after_the_other(read: Read, amounts: Amounts) -> None:
    """Also across rule versions, whose events are counted on."""
    assert amounts(read(FREE), ("40", 1), ("20", 2), ("10", 1)) == [
        0,
        Fraction("0.59"),
        Fraction("0.59"),
    ]
    assert amounts(read(FREE), ("20", 2), before="40", events_before=1) == [Fraction("0.59")]


def test_a_corrected_event_gives_back_percentage_and_fee(read: Read, amounts: Amounts) -> None:
    """A void takes the event away, a refund only the amount."""
    assert amounts(read(PRICE), ("100", 1), ("-100", -1)) == [Fraction("3.2"), Fraction("-3.2")]
    assert amounts(read(PRICE), ("-50", 0), before="100", events_before=1) == [Fraction("-1.45")]


def test_parts_tell_free_amount_percentage_and_fees(read: Read, rate: Rate) -> None:
    """What an invoice shows."""
    (answer,) = rate(read(FREE), ("150", 5))
    assert answer.parts == (
        Part("free", Decimal(50), "0 %", Decimal(), Decimal()),
        Part("", Decimal(100), "2.9 %", Decimal(), Decimal("2.9")),
        Part("fixed fees", Decimal(3), "0.3 per event", Decimal(), Decimal("0.9")),
    )
    assert read(FREE).describe() == "2.9 % + 0.3 per event, the first 50 free, the first 2 fixed fees free"


@pytest.mark.parametrize(
    ("paid", "events", "amount", "price"),
    [
        ("0", 1, "0.50", "0.5 per event, the least"),
        ("6.89", 3, "1.50", "0.5 per event, the least"),
        ("6.90", 3, "1.5003", "0.5001 per event"),
        ("100.00", 2, "6.40", "3.2 per event"),
        ("1000", 1, "10", "10 per event, the most"),
        ("100", -1, "-3.2", "3.2 per event"),
    ],
)
def test_bounds_hold_for_each_event(
    read: Read, rate: Rate, paid: str, events: int, amount: str, price: str
) -> None:
    """By its own amount, which a dimension carries; what the meter counted does not matter."""
    (answer,) = rate(read(BOUNDED), ("77", events, f'{{"paid":"{paid}"}}'))
    assert answer.amount == Decimal(amount)
    assert [part.unit_price for part in answer.parts] == [price]
    assert [part.quantity for part in answer.parts] == [events]


@pytest.mark.parametrize(
    ("dimensions", "wanted"),
    [
        ("{}", "paid=None"),
        ('{"paid":null}', "paid=None"),
        ('{"paid":"12,50"}', "paid=12,50"),
        ('{"paid":"-1"}', "paid=-1"),
        ('{"paid":"1."}', "paid=1."),
        ('{"paid":".5"}', "paid=.5"),
        ('{"paid":"01"}', "paid=01"),
        ('{"paid":"1e3"}', "paid=1e3"),
        ('{"paid":"١"}', "paid=١"),  # noqa: RUF001 - a digit of another script
        ('{"paid":"0.0000000001"}', "paid=0.0000000001"),
    ],
)
def test_an_amount_that_cannot_be_read_has_no_price(
    read: Read, rate: Rate, dimensions: str, wanted: str
) -> None:
    """It is said, never taken for zero."""
    assert rate(read(BOUNDED), ("1", 1, dimensions)) == [NoPrice(wanted)]


def test_lines_leave_the_amounts_dimension_out(read: Read) -> None:
    """Where it carries the amount; otherwise lines keep all of their dimensions."""
    assert read(BOUNDED).folded == ("paid",)
    assert read(PRICE).folded == ()
    assert read(BOUNDED).describe() == "2.9 % + 0.3 per event, at least 0.5 per event, at most 10 per event"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "model: percentage\npercent: 1\nper_event_min: 0.5",
            (
                "3: price.per_event_min: bounds each event, whose amount a quantity of several does not say; name the "
                "dimension that carries it in `amount_dimension`"
            ),
        ),
        (
            "model: percentage\npercent: 1\nper_event_min: 2\nper_event_max: 1\namount_dimension: paid",
            "3: price.per_event_min: 2 is above `per_event_max`, which is 1",
        ),
        (
            "model: percentage\npercent: 1\nper_event_max: 1\namount_dimension: paid\nfree_events: 3",
            (
                "5: price.free_events: counts through the period, but `amount_dimension` prices events one by one; "
                "remove one"
            ),
        ),
        (
            "model: percentage\npercent: 1\nper_event_max: 1\namount_dimension: total",
            "4: price.amount_dimension: the meter does not group by 'total'; add it to the meter's group_by",
        ),
        (
            "model: percentage\npercent: 2.9%",
            "2: price.percent: '2.9%' is no plain decimal number >= 0; write it like 0.25",
        ),
    ],
)
def test_faults_name_line_and_field(faults_of: Callable[[str], list[str]], text: str, fault: str) -> None:
    """And say what to do."""
    assert faults_of(text) == [fault]
