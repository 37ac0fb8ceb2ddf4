"""Packages: a package that is begun is paid whole, whoever begins it; free units come before the first."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from billing_pipeline.rating.charge_models.price import Part, Price

Amounts = Callable[..., list[Fraction]]
Rate = Callable[..., list[Any]]
Read = Callable[[str], Price]

PRICE = "{model: package, size: 100, unit_price: 5}"
FREE = "{model: package, size: 2.5, unit_price: 3, free_units: 4}"


@pytest.mark.parametrize(
    ("price", "quantity", "amount"),
    [
        (PRICE, "0.000000001", "5"),
        (PRICE, "100", "5"),
        (PRICE, "100.000000001", "10"),
        (PRICE, "250", "15"),
        (PRICE, "9" * 29, f"{(10**27) * 5}"),
        (FREE, "4", "0"),
        (FREE, "4.1", "3"),
        (FREE, "6.5", "3"),
        (FREE, "6.6", "6"),
        ("{model: package, size: 0.3, unit_price: 0.1}", "0.9", "0.3"),
        ("{model: package, size: 7, unit_price: 0}", "20", "0"),
    ],
)
def test_a_package_that_is_begun_is_paid_whole(
    read: Read, amounts: Amounts, price: str, quantity: str, amount: str
) -> None:
    """A full one begins no other, sizes may have fractions."""
    assert amounts(read(price), quantity) == [Fraction(amount)]


def test_the_row_that_begins_a_package_pays_for_it(read: Read, amounts: Amounts) -> None:
    """Rows within it cost nothing."""
    assert amounts(read(PRICE), "60", "40", "0.5", "250") == [5, 0, 5, 10]
    assert amounts(read(PRICE), "41", before="60") == [5]


def test_going_back_gives_back_the_packages_that_are_no_longer_begun(read: Read, amounts: Amounts) -> None:
    """From the third package into the first."""
    assert amounts(read(PRICE), "-150", before="250") == [-10]
    assert amounts(read(PRICE), "-49", before="250") == [0]


def test_parts_tell_free_units_from_paid_ones(read: Read, rate: Rate) -> None:
    """With how many packages were begun."""
    begun, within = rate(read(FREE), "7", "1")
    assert begun.parts == (
        Part("free", Decimal(4), "0", Decimal(), Decimal()),
        Part("in 2 packages", Decimal(3), "3 per package of 2.5", Decimal(), Decimal(6)),
    )
    assert within.parts == (
        Part("in a package begun before", Decimal(1), "3 per package of 2.5", Decimal(), Decimal()),
    )
    assert read(FREE).describe() == "3 per package of 2.5, the first 4 free"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "model: package\nsize: 0\nunit_price: 1",
            "2: price.size: a package of 0 units has no price; give how many units a package has",
        ),
        (
            "model: package\nsize: 10\nunit_price: 1\nfree_units: -1",
            "4: price.free_units: '-1' is no plain decimal number >= 0; write it like 0.25",
        ),
        (
            "model: package\nsize: 10\nunit_price: 1\nper: 1000",
            "4: price.per: unknown key 'per'; known here: model, size, unit_price, free_units, tier_by",
        ),
    ],
)
def test_faults_name_line_and_field(faults_of: Callable[[str], list[str]], text: str, fault: str) -> None:
    """And say what to do."""
    assert faults_of(text) == [fault]
