"""Dynamic prices: the event carries its unit price, exactly as it wrote it."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from billing_pipeline.rating.charge_models.price import NoPrice, Part, Price
from billing_pipeline.rating.money import round_minor, stored_amount

Amounts = Callable[..., list[Fraction]]
Rate = Callable[..., list[Any]]
Read = Callable[[str], Price]

PRICE = "{model: dynamic, price_dimension: unit_cost}"
MARKED_UP = "{model: dynamic, price_dimension: unit_cost, per: 1000, markup_percent: 20}"


def carrying(price: str, quantity: str = "1") -> tuple[str, int, str]:
    return quantity, 1, f'{{"unit_cost":"{price}"}}'


@pytest.mark.parametrize(
    ("terms", "price", "quantity", "amount"),
    [
        (PRICE, "0.0125", "40", "0.5"),
        (PRICE, "3.50", "1.5", "5.25"),
        (PRICE, "0", "7", "0"),
        (PRICE, "0.000000000000001", "0.000000001", "0.000000000000000000000001"),
        (PRICE, "1.50000000000000000000", "2", "3"),
        (MARKED_UP, "12.50", "2000", "30"),
    ],
)
def test_a_row_costs_quantity_times_the_price_that_it_carries(
    read: Read, amounts: Amounts, terms: str, price: str, quantity: str, amount: str
) -> None:
    """For one unit or for `per`, with the markup on top."""
    assert amounts(read(terms), carrying(price, quantity)) == [Fraction(amount)]


def test_more_digits_than_tables_keep_stay_exact(read: Read, rate: Rate) -> None:
    """The amount is then a ratio, which is rounded once like every other and stored to 24 digits."""
    (answer,) = rate(read(MARKED_UP), carrying("0.000000000000007", "0.000000001"))
    assert isinstance(answer.amount, Fraction)
    assert answer.amount == Fraction(84, 10**28)
    assert stored_amount(answer.amount) == 0
    assert round_minor(answer.amount, "usd") == 0


@pytest.mark.parametrize("price", ["", "free", "-1", "1e-3", "0.0000000000000001", "1234567890123"])
def test_a_price_that_cannot_be_read_is_none(read: Read, rate: Rate, price: str) -> None:
    """It is said, never taken for zero; so are more digits than a price has."""
    assert rate(read(PRICE), carrying(price)) == [NoPrice(f"unit_cost={price}")]
    assert rate(read(PRICE), "1") == [NoPrice("unit_cost=None")]


def test_rows_with_a_price_are_not_held_up_by_one_without(read: Read, rate: Rate) -> None:
    """Each row has its own answer."""
    first, second = rate(read(PRICE), carrying("x"), carrying("2", "3"))
    assert isinstance(first, NoPrice)
    assert second.amount == 6


def test_the_part_names_price_and_markup_and_lines_leave_the_dimension_out(read: Read, rate: Rate) -> None:
    """What an invoice shows."""
    (answer,) = rate(read(MARKED_UP), carrying("12.50", "2000"))
    assert answer.parts == (Part("", Decimal(2000), "12.5 per 1,000 + 20 %", Decimal(), Decimal(30)),)
    assert read(MARKED_UP).folded == ("unit_cost",)
    assert read(MARKED_UP).describe() == "the price in unit_cost per 1,000 + 20 %"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("model: dynamic", "1: price.price_dimension: missing; give a value"),
        (
            "model: dynamic\nprice_dimension: cost",
            "2: price.price_dimension: the meter does not group by 'cost'; add it to the meter's group_by",
        ),
        (
            "model: dynamic\nprice_dimension: unit_cost\nper: 10",
            "3: price.per: unknown '10'; did you mean '1000'?",
        ),
    ],
)
def test_faults_name_line_and_field(faults_of: Callable[[str], list[str]], text: str, fault: str) -> None:
    """And say what to do."""
    assert faults_of(text) == [fault]
