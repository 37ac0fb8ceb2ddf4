"""Graduated percentages: each part of an amount of money owes the percentage of the tier that it is in."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from billing_pipeline.rating.charge_models.price import Part, Price

Amounts = Callable[..., list[Fraction]]
Rate = Callable[..., list[Any]]
Read = Callable[[str], Price]

PRICE = (
    "{model: graduated_percentage, tiers: [{up_to: 1000, percent: 3, flat_fee: 1}, "
    "{up_to: 10000, percent: 2.5, amount_cap: 100}, {percent: 0.5, flat_fee: 20}]}"
)


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [
        ("0", "0"),
        ("0.01", "1.0003"),
        ("1000", "31"),
        ("1000.01", "31.00025"),
        ("5000", "131"),
        ("10000", "131"),
        ("11000", "156"),
    ],
)
def test_each_part_owes_the_percentage_of_its_tier(
    read: Read, amounts: Amounts, quantity: str, amount: str
) -> None:
    """With the fees of the tiers that are entered, and no tier's percentage above its cap."""
    assert amounts(read(PRICE), quantity) == [Fraction(amount)]


def test_rows_take_their_positions_one_after_the_other(read: Read, amounts: Amounts) -> None:
    """Up and back again."""
    assert amounts(read(PRICE), "900", "200", "-200") == [28, Fraction("5.5"), Fraction("-5.5")]


def test_parts_name_tier_and_percentage(read: Read, rate: Rate) -> None:
    """What an invoice shows."""
    (answer,) = rate(read(PRICE), "1200", before="500")
    assert answer.parts == (
        Part("up to 1,000", Decimal(500), "3 %", Decimal(), Decimal(15)),
        Part("up to 10,000", Decimal(700), "2.5 %, at most 100", Decimal(), Decimal("17.5")),
    )
    assert read(PRICE).describe() == (
        "up to 1,000 at 3 % + 1, up to 10,000 at 2.5 %, at most 100, above 10,000 at 0.5 % + 20"
    )


def test_zero_usage_costs_the_first_fee_where_that_is_said(read: Read) -> None:
    """Not otherwise."""
    zero = read(PRICE.replace("tiers:", "charge_zero_usage: true, tiers:")).of_zero()
    assert zero is not None
    assert zero.amount == 1
    assert read(PRICE).of_zero() is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "model: graduated_percentage\ntiers:\n- {up_to: 5, percent: 1}\n- {up_to: 5, percent: 2}\n- {percent: 1}",
            "4: price.tiers[1].up_to: 5 is not above the tier before, which ends at 5",
        ),
        (
            "model: graduated_percentage\ntiers: [{unit_price: 1, percent: 2}]",
            "2: price.tiers[0].unit_price: unknown key 'unit_price'; did you mean 'amount_cap'?",
        ),
        (
            "model: graduated_percentage\ntiers: [{percent: 10000}]",
            "2: price.tiers[0].percent: 10000 has too many digits; give at most 4 before and 9 after the point",
        ),
    ],
)
def test_faults_name_line_and_field(faults_of: Callable[[str], list[str]], text: str, fault: str) -> None:
    """And say what to do."""
    assert faults_of(text) == [fault]
