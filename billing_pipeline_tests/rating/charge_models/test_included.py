"""Included quantities: what is used above them costs extra; a part of the period includes a part of them."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from billing_pipeline.rating.charge_models.price import Part, Price

Amounts = Callable[..., list[Fraction]]
Rate = Callable[..., list[Any]]
Read = Callable[[str], Price]

PRICE = "{model: included, included: 1000, unit_price: 20, per: 1000}"


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [("1", "0"), ("1000", "0"), ("1000.000000001", "0.00000000002"), ("1500.5", "10.01")],
)
def test_only_what_is_above_the_included_quantity_costs(
    read: Read, amounts: Amounts, quantity: str, amount: str
) -> None:
    """The included quantity is inclusive."""
    assert amounts(read(PRICE), quantity) == [Fraction(amount)]


def test_rows_use_up_the_included_quantity_one_after_the_other(read: Read, amounts: Amounts) -> None:
    """And a row that goes back gives back what it had cost."""
    assert amounts(read(PRICE), "600", "600", "100", "-200") == [0, 4, 2, -4]


def test_a_share_of_the_period_includes_that_share_exactly(read: Read, amounts: Amounts, rate: Rate) -> None:
    """10 of 31 days: a ratio without end, which loses nothing."""
    price, share = read(PRICE), Fraction(10, 31)
    assert amounts(price, "500", share=share) == [(500 - Fraction(10000, 31)) / 50]
    assert amounts(price, "100", "300", "100", share=share) == [0, (400 - Fraction(10000, 31)) / 50, 2]
    (answer,) = rate(price, "500", share=share)
    assert [(part.tier, part.quantity) for part in answer.parts] == [
        ("included", Decimal("322.580645161")),
        ("above included", Decimal("177.419354839")),
    ]


def test_what_is_not_prorated_is_whole_in_any_share(read: Read, amounts: Amounts) -> None:
    """Several of an add-on include it several times, prorated or not."""
    whole = read(PRICE.replace("}", ", prorate: false}"))
    assert amounts(whole, "1500", share=Fraction(1, 3)) == [10]
    assert amounts(whole, "3500", share=Fraction(3, 2), held=3) == [10]
    assert amounts(read(PRICE), "3500", share=Fraction(3), held=3) == [10]


def test_the_included_quantity_is_that_of_the_version_at_the_start(read: Read, amounts: Amounts) -> None:
    """The price above it is that of each version; a start with another model includes what the version says."""
    opening = read(PRICE)
    later = read("{model: included, included: 100, unit_price: 1}")
    assert amounts(later, "600", before="500", opening=opening) == [100]
    assert amounts(later, "600", before="500", opening=read("{model: per_unit, unit_price: 1}")) == [600]


def test_parts_tell_included_units_from_paid_ones(read: Read, rate: Rate) -> None:
    """What an invoice shows."""
    (answer,) = rate(read(PRICE), "1500", before="200")
    assert answer.parts == (
        Part("included", Decimal(800), "0", Decimal(), Decimal()),
        Part("above included", Decimal(700), "20 per 1,000", Decimal(), Decimal(14)),
    )
    assert read(PRICE).describe() == "1,000 included, then 20 per 1,000"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "model: included\nincluded: many\nunit_price: 1",
            "2: price.included: 'many' is no plain decimal number >= 0; write it like 0.25",
        ),
        (
            "model: included\nincluded: 5\nunit_price: 1\nprorate: maybe",
            "4: price.prorate: unknown 'maybe'; give one of true, false",
        ),
        ("model: included\nincluded: 5", "1: price.unit_price: missing; give a value"),
    ],
)
def test_faults_name_line_and_field(faults_of: Callable[[str], list[str]], text: str, fault: str) -> None:
    """And say what to do."""
    assert faults_of(text) == [fault]
