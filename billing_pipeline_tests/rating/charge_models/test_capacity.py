"""Capacity: the whole quantity costs the amount of the step that it falls in."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from billing_pipeline.rating.charge_models.price import Part, Price, Priced

Amounts = Callable[..., list[Fraction]]
Rate = Callable[..., list[Any]]
Read = Callable[[str], Price]

PRICE = "{model: capacity, tiers: [{up_to: 10, amount: 100}, {up_to: 20, amount: 150}, {amount: 180.50}]}"
CHARGED = PRICE.replace("capacity,", "capacity, charge_zero_usage: true,")


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [
        ("0", "0"),
        ("0.000000001", "100"),
        ("10", "100"),
        ("10.000000001", "150"),
        ("20", "150"),
        ("999", "180.5"),
    ],
)
def test_a_quantity_costs_the_amount_of_its_step(
    read: Read, amounts: Amounts, quantity: str, amount: str
) -> None:
    """Bounds are inclusive, and nothing costs nothing."""
    assert amounts(read(PRICE), quantity) == [Fraction(amount)]


def test_a_row_pays_the_difference_between_the_steps(read: Read, amounts: Amounts) -> None:
    """Up and down; within a step it is nothing."""
    assert amounts(read(PRICE), "5", "5", "1", "20", "-25", "-6") == [100, 0, 50, 30.5, -80.5, -100]


def test_parts_name_the_new_step_and_the_one_it_replaces(read: Read, rate: Rate) -> None:
    """What an invoice shows."""
    first, second, third = rate(read(PRICE), "5", "10", "2")
    assert first.parts == (Part("up to 10", Decimal(5), "0", Decimal(100), Decimal(100)),)
    assert second.parts == (
        Part("up to 20", Decimal(10), "0", Decimal(150), Decimal(150)),
        Part("instead of up to 10", Decimal(), "0", Decimal(-100), Decimal(-100)),
    )
    assert third.parts == (Part("up to 20", Decimal(2), "0", Decimal(), Decimal()),)
    assert read(PRICE).describe() == "up to 10 for 100, up to 20 for 150, above 20 for 180.5"


def test_zero_usage_costs_the_first_step_where_that_is_said(read: Read, amounts: Amounts) -> None:
    """Usage that cancels out as well."""
    part = Part("up to 10", Decimal(), "0", Decimal(100), Decimal(100))
    assert read(CHARGED).of_zero() == Priced(Decimal(100), (part,))
    assert sum(amounts(read(CHARGED), "15", "-15")) == 100
    assert sum(amounts(read(CHARGED), "15", "-14")) == 100
    assert read(PRICE).of_zero() is None


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (
            "model: capacity\ntiers:\n  - {up_to: 5, unit_price: 1}\n  - {amount: 2}",
            [
                "3: price.tiers[0].unit_price: unknown key 'unit_price'; known here: amount, up_to",
                "3: price.tiers[0].amount: missing; give a value",
            ],
        ),
        (
            "model: capacity\ntiers: [{amount: 2}]\ntier_by: [region]\ncharge_zero_usage: true",
            [
                (
                    "4: price.charge_zero_usage: stands beside `tier_by`, but without usage there is no pool to "
                    "charge; remove one of the two"
                )
            ],
        ),
    ],
)
def test_faults_name_line_and_field(
    faults_of: Callable[[str], list[str]], text: str, faults: list[str]
) -> None:
    """And say what to do."""
    assert faults_of(text) == faults
