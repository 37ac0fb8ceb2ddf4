"""Graduated tiers: bounds are inclusive, fractions are split, any cut of the quantity sums to the whole."""

from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.rating.charge_models.graduated import Graduated
from billing_pipeline.rating.charge_models.price import Part, Price, Priced, Segment
from billing_pipeline.rating.charge_models.tiers import Tier
from billing_pipeline.rating.charge_models.unit_price import UnitPrice
from billing_pipeline.rating.money import sum_exact

ZERO = Decimal()


class Row(NamedTuple):
    quantity: Decimal
    dimensions: str = "{}"
    event_count: int = 1


def tiers(*terms: tuple[str | None, str, str]) -> Graduated:
    """Tiers of (up_to, unit price, flat fee)."""
    above, found = ZERO, []
    for up_to, price, fee in terms:
        end = None if up_to is None else Decimal(up_to)
        found.append(Tier(above, end, UnitPrice(Decimal(price)), Decimal(fee)))
        above = end or above
    return Graduated(tuple(found))


def amounts(price: Graduated, before: Decimal | int, *quantities: str | Decimal) -> list[Decimal]:
    rows = [Row(Decimal(quantity)) for quantity in quantities]
    answers = price.rate(Segment(Decimal(before), ZERO, rows))
    found = []
    for answer in answers:
        assert isinstance(answer, Priced)
        assert isinstance(answer.amount, Decimal)
        found.append(answer.amount)
    return found


PRICE = tiers(("10", "5", "0"), ("20", "4", "100"), (None, "1", "7"))


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [
        ("0", "0"),
        ("1", "5"),
        ("10", "50"),
        ("10.000000001", "150.000000004"),
        ("10.5", "152"),
        ("11", "154"),
        ("20", "190"),
        ("20.5", "197.5"),
        ("120", "297"),
    ],
)
def test_bounds_are_inclusive_and_fees_fall_due_on_entering_a_tier(quantity: str, amount: str) -> None:
    """Unit 10 is the first tier's; what is above is the second's."""
    assert amounts(PRICE, 0, quantity) == [Decimal(amount)]


def test_stripes_example_of_graduated_tiers() -> None:
    """From its documentation: 1-5 at 7.00, 6-10 at 6.50, 11+ at 6.00; 6 units cost 41.50, 20 cost 127.50."""
    price = tiers(("5", "7", "0"), ("10", "6.5", "0"), (None, "6", "0"))
    assert [amounts(price, 0, units)[0] for units in ("1", "5", "6", "20", "25")] == [
        Decimal(text) for text in ("7", "35", "41.5", "127.5", "157.5")
    ]


def test_rows_take_their_positions_one_after_the_other() -> None:
    """The second row goes on where the first ended; a fee falls due once."""
    assert amounts(PRICE, 8, "2", "1", "1", "0.5") == [Decimal(10), Decimal(104), Decimal(4), Decimal(2)]


def test_parts_name_tier_quantity_price_and_fee() -> None:
    """What a person checks by hand."""
    (answer,) = PRICE.rate(Segment(Decimal(9), ZERO, [Row(Decimal(12))]))
    assert isinstance(answer, Priced)
    assert list(answer.parts) == [
        Part("up to 10", Decimal(1), "5", Decimal(0), Decimal(5)),
        Part("up to 20", Decimal(10), "4", Decimal(100), Decimal(140)),
        Part("above 20", Decimal(1), "1", Decimal(7), Decimal(8)),
    ]


def test_a_stretch_that_goes_back_gives_back_what_it_cost() -> None:
    """A level that falls under a later version: the units, and the fee of the tier that is left again."""
    assert amounts(PRICE, 12, "-2", "-1") == [Decimal(-108), Decimal(-5)]
    (answer,) = PRICE.rate(Segment(Decimal(12), ZERO, [Row(Decimal(-3))]))
    assert isinstance(answer, Priced)
    assert sum_exact(part.quantity for part in answer.parts) == Decimal(-3)


QUANTITIES = st.lists(st.decimals(min_value=0, max_value=10**12, places=9), min_size=1, max_size=8)
PRICES = st.decimals(min_value=0, max_value=1000, places=6)


@st.composite
def graduated_prices(draw: st.DrawFn) -> Graduated:
    bounds = sorted(draw(st.sets(st.decimals(min_value="0.001", max_value=10**12, places=3), max_size=5)))
    ends: list[str | None] = [*map(str, bounds), None]
    return tiers(*[(end, str(draw(PRICES)), str(draw(PRICES))) for end in ends])


@given(graduated_prices(), QUANTITIES)
def test_any_cut_of_a_quantity_sums_to_the_whole(price: Graduated, quantities: list[Decimal]) -> None:
    """F(b) - F(a) telescopes, in one stretch or in several."""
    (whole,) = amounts(price, 0, sum_exact(quantities))
    assert sum_exact(amounts(price, 0, *quantities)) == whole
    positions = [sum_exact(quantities[:index]) for index in range(len(quantities) + 1)]
    assert sum_exact(amounts(price, a, sum_exact([b, -a]))[0] for a, b in pairwise(positions)) == whole


@given(graduated_prices(), QUANTITIES)
def test_parts_add_up_to_the_amount_and_to_the_quantity(price: Graduated, quantities: list[Decimal]) -> None:
    """Graduated is the sum of its tiers, and never negative."""
    rows = [Row(quantity) for quantity in quantities]
    for row, answer in zip(rows, price.rate(Segment(ZERO, ZERO, rows)), strict=True):
        assert isinstance(answer, Priced)
        assert sum(part.amount for part in answer.parts if isinstance(part.amount, Decimal)) >= 0
        assert (
            sum_exact(part.amount for part in answer.parts if isinstance(part.amount, Decimal))
            == answer.amount
        )
        assert sum_exact(part.quantity for part in answer.parts) == row.quantity


CAPPED = """
    model: graduated
    tiers:
      - {up_to: 10, unit_price: 5, flat_fee: 1, amount_cap: 30}
      - {unit_price: 2, amount_cap: 7}
"""


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [
        ("5", "26"),
        ("6", "31"),
        ("6.5", "31"),
        ("10", "31"),
        ("11.5", "34"),
        ("13.5", "38"),
        ("1000000", "38"),
    ],
)
def test_the_units_of_a_tier_cost_no_more_than_its_cap(
    read: Callable[[str], Price], quantity: str, amount: str
) -> None:
    """Its fee comes on top, and the units above the cap are free."""
    price = read(CAPPED)
    assert isinstance(price, Graduated)
    assert amounts(price, 0, quantity) == [Decimal(amount)]
    assert sum_exact(amounts(price, 0, "5.5", str(Decimal(quantity) - Decimal("5.5")))) == Decimal(amount)


def test_a_capped_tier_says_so(read: Callable[[str], Price]) -> None:
    """On the invoice and in the terms."""
    (answer,) = read(CAPPED).rate(Segment(Decimal(5), Decimal(8), [Row(Decimal(3))]))
    assert isinstance(answer, Priced)
    assert answer.parts == (Part("up to 10", Decimal(3), "5, at most 30", Decimal(0), Decimal(5)),)
    assert read(CAPPED).describe() == "up to 10 at 5, at most 30 + 1, above 10 at 2, at most 7"


def test_zero_usage_costs_the_first_fee_where_that_is_said(read: Callable[[str], Price]) -> None:
    """Not otherwise, not where there is none, and once where usage cancels out."""
    tiers = "[{up_to: 5, unit_price: 1, flat_fee: 7}, {unit_price: 2}]"
    terms = f"{{model: graduated, charge_zero_usage: true, tiers: {tiers}}}"
    part = Part("up to 5", Decimal(0), "1", Decimal(7), Decimal(7))
    charged = read(terms)
    assert isinstance(charged, Graduated)
    assert charged.of_zero() == Priced(Decimal(7), (part,))
    assert read(terms.replace("charge_zero_usage: true, ", "")).of_zero() is None
    assert read(terms.replace(", flat_fee: 7", "")).of_zero() is None
    assert amounts(charged, 0, "6", "-6") == [Decimal(14), Decimal(-7)]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "model: graduated\ncharge_zero_usage: true\ntier_by: [project]\ntiers: [{unit_price: 1}]",
            (
                "2: price.charge_zero_usage: stands beside `tier_by`, but without usage there is no pool to charge; "
                "remove one of the two"
            ),
        ),
        (
            "model: graduated\ncharge_zero_usage: 1\ntiers: [{unit_price: 1}]",
            "2: price.charge_zero_usage: unknown '1'; give one of true, false",
        ),
        (
            "model: graduated\ntiers:\n  - {unit_price: 1, amount_cap: -3}",
            "3: price.tiers[0].amount_cap: '-3' is no plain decimal number >= 0; write it like 0.25",
        ),
        ("model: graduated\ntiers: []", "2: price.tiers: has 0 items; give 1 to 100"),
    ],
)
def test_faults_name_line_and_field(faults_of: Callable[[str], list[str]], text: str, fault: str) -> None:
    """And say what to do."""
    assert faults_of(text) == [fault]
