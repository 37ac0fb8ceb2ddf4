"""Volume: all units cost what the tier says that the period's total reaches; its fee is due once, at the end."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from billing_pipeline.rating.charge_models.price import Part, Price, Priced

Amounts = Callable[..., list[Fraction]]
Rate = Callable[..., list[Any]]
Read = Callable[[str], Price]

TIERS = (
    "[{up_to: 10, unit_price: 5}, {up_to: 20.5, unit_price: 4, flat_fee: 100}, {unit_price: 1000, per: 1000}]"
)
PRICE = f"{{model: volume, tiers: {TIERS}}}"


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [
        ("0.000000001", "0.000000005"),
        ("10", "50"),
        ("10.000000001", "140.000000004"),
        ("20.5", "182"),
        ("20.500000001", "20.500000001"),
        ("1000", "1000"),
    ],
)
def test_all_units_cost_what_the_reached_tier_says(
    read: Read, amounts: Amounts, quantity: str, amount: str
) -> None:
    """Bounds are inclusive, and the fee of the reached tier alone is due."""
    assert amounts(read(PRICE), quantity) == [Fraction(amount)]


def test_the_total_of_the_period_decides_not_the_position(read: Read, amounts: Amounts) -> None:
    """Rows that come first are priced by the tier that the later ones reach; the fee is on the last one."""
    assert amounts(read(PRICE), "4", "4", "4") == [16, 16, 116]
    assert amounts(read(PRICE), "4", before="8", total=Decimal(30)) == [4]


def test_a_version_that_is_not_the_last_charges_no_fee(read: Read, amounts: Amounts) -> None:
    """Each version prices its own units; the last one used brings the fee."""
    cheaper = read(PRICE.replace("unit_price: 4, flat_fee: 100", "unit_price: 3, flat_fee: 50"))
    first = amounts(read(PRICE), "6", total=Decimal(12), is_last=False)
    second = amounts(cheaper, "6", before="6", total=Decimal(12))
    assert first == [24]
    assert second == [68]


def test_usage_that_goes_back_gives_back_at_the_price_of_the_total(read: Read, amounts: Amounts) -> None:
    """12 and 3 back are 9 of the first tier."""
    assert amounts(read(PRICE), "12", "-3") == [60, -15]


def test_the_part_names_the_reached_tier(read: Read, rate: Rate) -> None:
    """What an invoice shows."""
    (answer,) = rate(read(PRICE), "12")
    assert answer.parts == (Part("up to 20.5", Decimal(12), "4", Decimal(100), Decimal(148)),)
    assert read(PRICE).describe() == (
        "all units: up to 10 at 5, up to 20.5 at 4 + 100, above 20.5 at 1000 per 1,000"
    )


def test_zero_usage_costs_the_first_fee_where_that_is_said(read: Read, amounts: Amounts) -> None:
    """Not otherwise, and not twice: usage that cancels out owes it as well."""
    charged = read("{model: volume, charge_zero_usage: true, tiers: [{unit_price: 1, flat_fee: 7}]}")
    assert charged.of_zero() == Priced(Decimal(7), (Part("above 0", Decimal(), "1", Decimal(7), Decimal(7)),))
    assert sum(amounts(charged, "3", "-3")) == 7
    assert read("{model: volume, tiers: [{unit_price: 1, flat_fee: 7}]}").of_zero() is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "model: volume\ntiers:\n  - {up_to: 5, unit_price: 1}",
            "3: price.tiers[0].up_to: closes the last tier; leave it out, so that every quantity has a price",
        ),
        (
            "model: volume\ntiers:\n  - {unit_price: 1}\n  - {unit_price: 2}",
            "3: price.tiers[0]: has no `up_to`, but more tiers follow; give its inclusive upper bound",
        ),
        (
            "model: volume\ntiers: [{unit_price: 1, amount_cap: 3}]",
            "2: price.tiers[0].amount_cap: unknown key 'amount_cap'; did you mean 'unit_price'?",
        ),
        ("model: volume", "1: price.tiers: missing; give a value"),
    ],
)
def test_faults_name_line_and_field(faults_of: Callable[[str], list[str]], text: str, fault: str) -> None:
    """And say what to do."""
    assert faults_of(text) == [fault]
