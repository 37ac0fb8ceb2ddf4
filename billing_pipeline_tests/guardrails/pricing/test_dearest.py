"""The bound of every charge model is the largest of all its own answers, and none is above it."""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.guardrails.pricing.dearest import Even, Packages, Tiered, dearest, upper
from billing_pipeline.guardrails.pricing.fine import Fine, fine, nano_nearest, nano_up
from billing_pipeline.rating.charge_models.capacity import Capacity, Step
from billing_pipeline.rating.charge_models.dynamic import Dynamic
from billing_pipeline.rating.charge_models.free import FREE_TRIAL
from billing_pipeline.rating.charge_models.graduated import Graduated
from billing_pipeline.rating.charge_models.graduated_percentage import GraduatedPercentage, PercentTier
from billing_pipeline.rating.charge_models.included import Included
from billing_pipeline.rating.charge_models.package import Package
from billing_pipeline.rating.charge_models.per_unit import PerUnit
from billing_pipeline.rating.charge_models.percentage import Percentage
from billing_pipeline.rating.charge_models.price import NoPrice, Price, Priced, Segment
from billing_pipeline.rating.charge_models.price_table import PriceTable
from billing_pipeline.rating.charge_models.tiers import Tier
from billing_pipeline.rating.charge_models.unit_price import UnitPrice
from billing_pipeline.rating.charge_models.volume import Volume
from billing_pipeline.rating.money import EXACT

ONE = 10**9
GRID = 40
"""Positions and quantities of the tests, in 10⁻⁹ units: small enough to try all, and as close as there are."""
QUANTITIES = st.integers(0, GRID)
PRICES = st.decimals(0, 9, places=2)
MOST = st.one_of(st.none(), st.integers(1, 30).map(lambda tenths: Decimal(tenths).scaleb(-10)))


class Row(NamedTuple):
    quantity: Decimal
    dimensions: str = "{}"
    event_count: int = 1


def units(quantity: int) -> Decimal:
    return Decimal(quantity).scaleb(-9, EXACT)


def answer(
    price: Price, before: int, quantity: int, *, events_before: int = 0, dimensions: str = "{}"
) -> Fine:
    """What the model says that one event costs at a position."""
    row = Row(units(quantity), dimensions)
    (found,) = price.rate(Segment(units(before), units(before + quantity), [row], events_before))
    assert isinstance(found, Priced)
    return fine(found.amount)


def answers(price: Price, quantity: int, positions: Iterable[int] = range(2 * GRID)) -> list[Fine]:
    """What a quantity costs at each position."""
    return [answer(price, position, quantity) for position in positions]


@st.composite
def graduated(draw: st.DrawFn) -> Graduated:
    """Tiers whose bounds are a few of the smallest units apart, with fees and caps."""
    bounds = sorted(draw(st.sets(st.integers(1, GRID), max_size=3)))
    tiers, above = [], Decimal()
    for up_to in [*map(units, bounds), None]:
        tiers.append(Tier(above, up_to, UnitPrice(draw(PRICES)), draw(FEES), draw(MOST)))
        above = up_to or above
    return Graduated(tuple(tiers), charge_zero_usage=draw(st.booleans()))


FEES = st.one_of(st.just(Decimal()), st.integers(0, 200).map(lambda tenths: Decimal(tenths).scaleb(-10)))


@given(graduated(), st.integers(1, GRID))
def test_the_bound_of_tiers_is_their_dearest_position(price: Graduated, quantity: int) -> None:
    """Of all positions there are: none is dearer, and one is as dear; fees and caps counted."""
    bound = dearest(price, "{}")
    assert isinstance(bound, Tiered)
    assert bound.estimate(quantity) == max(answers(price, quantity))


@given(graduated(), QUANTITIES)
def test_what_settles_under_tiers_is_their_dearest_position_without_fees(
    price: Graduated, quantity: int
) -> None:
    """So it is never more than the estimate; nothing costs nothing."""
    bound = dearest(price, "{}")
    assert isinstance(bound, Tiered)
    bare = Graduated(
        tuple(Tier(t.above, t.up_to, t.unit_price, amount_cap=t.amount_cap) for t in price.tiers)
    )
    assert bound.actual(quantity) == max(answers(bare, quantity))
    assert bound.actual(quantity) <= bound.estimate(quantity)
    assert bound.estimate(0) == bound.actual(0) == 0


@given(graduated(), st.integers(0, 2 * GRID), st.lists(st.integers(1, 9), max_size=12))
def test_what_is_held_covers_what_the_period_costs(
    price: Graduated, start: int, quantities: list[int]
) -> None:
    """The sum of the estimates is at least what all of it costs, from any position on."""
    bound = dearest(price, "{}")
    assert isinstance(bound, Tiered)
    whole = answer(price, start, sum(quantities)) if quantities else 0
    assert sum(map(bound.estimate, quantities)) >= whole


@given(st.lists(st.decimals(0, 9, places=2), min_size=1, max_size=3), FEES, MOST, st.integers(1, GRID))
def test_the_bound_of_graduated_percentages_is_their_dearest_position(
    percents: list[Decimal], fee: Decimal, cap: Decimal | None, quantity: int
) -> None:
    """As of tiers with unit prices."""
    ends = [*(units(7 * number) for number in range(1, len(percents))), None]
    starts = [Decimal(), *(end for end in ends if end is not None)]
    price = GraduatedPercentage(
        tuple(
            PercentTier(above, up_to, percent, fee, cap)
            for above, up_to, percent in zip(starts, ends, percents, strict=True)
        )
    )
    bound = dearest(price, "{}")
    assert isinstance(bound, Tiered)
    assert bound.estimate(quantity) == max(answers(price, quantity))


@given(st.integers(1, 12), st.integers(0, 12), PRICES, QUANTITIES)
def test_the_bound_of_packages_is_all_that_a_quantity_may_begin(
    size: int, free: int, price: Decimal, quantity: int
) -> None:
    """And it settles at its share of them."""
    package = Package(units(size), price, units(free))
    bound = dearest(package, "{}")
    assert isinstance(bound, Packages)
    assert bound.estimate(quantity) == max(answers(package, quantity))
    assert bound.actual(quantity) == Fraction(fine(price) * quantity, size)
    assert bound.actual(quantity) <= bound.estimate(quantity)


@given(st.integers(0, GRID), PRICES, QUANTITIES)
def test_the_bound_of_an_included_quantity_lies_above_it(
    included: int, price: Decimal, quantity: int
) -> None:
    """Where every unit is paid."""
    model = Included(units(included), UnitPrice(price))
    bound = dearest(model, "{}")
    assert isinstance(bound, Even)
    assert not bound.is_exact
    assert bound.fixed + bound.each * quantity == max(answers(model, quantity))


@given(PRICES, PRICES, st.integers(0, GRID), st.integers(0, 3), QUANTITIES)
def test_the_bound_of_a_percentage_lies_above_what_is_free(
    percent: Decimal, fee: Decimal, free: int, free_events: int, quantity: int
) -> None:
    """Of the amount and of the events."""
    model = Percentage(percent, fee, free_events, units(free))
    bound = dearest(model, "{}")
    assert isinstance(bound, Even)
    assert bound.is_exact == (not free and not free_events)
    tried = [
        answer(model, before, quantity, events_before=events)
        for before in range(2 * GRID)
        for events in range(5)
    ]
    assert bound.fixed + bound.each * quantity == max(tried)


@given(PRICES, st.integers(0, 10**38), st.integers(0, 10**38))
def test_what_has_no_position_costs_what_the_invoice_says(price: Decimal, before: int, quantity: int) -> None:
    """To the last digit, up to 29 digits before the point."""
    model = PerUnit(UnitPrice(price, 1_000_000))
    bound = dearest(model, "{}")
    assert isinstance(bound, Even)
    assert bound.is_exact
    assert bound.each * quantity == answer(model, before, quantity)
    assert bound.fixed == 0


def test_a_table_prices_by_the_meters_dimensions() -> None:
    """A combination without a row has no price."""
    table = PriceTable("usd", ("model",), {("a",): UnitPrice(Decimal(3), 1_000_000)})
    bound = dearest(PerUnit(table=table), '{"model":"a"}')
    assert bound == Even(each=3 * 10**9)
    assert dearest(PerUnit(table=table), '{"model":"b"}') == NoPrice("model=b")


def test_a_carried_price_is_read_from_the_event() -> None:
    """With its markup; without one there is no price."""
    model = Dynamic("cost", 1000, Decimal(20))
    bound = dearest(model, '{"cost":"12.5"}')
    assert bound == Even(each=fine(Decimal("0.015")) // ONE)
    assert isinstance(dearest(model, "{}"), NoPrice)


def test_a_carried_amount_is_priced_by_itself() -> None:
    """Whatever the quantity says, between the bounds of an event."""
    model = Percentage(Decimal("2.9"), Decimal("0.3"), per_event_max=Decimal(5), amount_dimension="amount")
    assert dearest(model, '{"amount":"100"}') == Even(fixed=fine(Decimal("3.2")))
    assert dearest(model, '{"amount":"1000"}') == Even(fixed=fine(Decimal(5)))
    assert isinstance(dearest(model, "{}"), NoPrice)


def test_a_free_trial_costs_nothing() -> None:
    """Exactly."""
    assert dearest(FREE_TRIAL, "{}") == Even()


@pytest.mark.parametrize(
    "price",
    [
        Volume((Tier(Decimal(), None, UnitPrice(Decimal(1))),)),
        Capacity((Step(Decimal(), None, Decimal(5)),)),
    ],
)
def test_a_price_of_the_periods_total_has_no_bound(price: Price) -> None:
    """What one more unit costs would be what it does to all the others."""
    assert dearest(price, "{}") is None


def test_an_upper_unit_price_is_a_bound() -> None:
    """And never exact."""
    assert upper(UnitPrice(Decimal("1.5"), 1000)) == Even(each=fine(Decimal("0.0015")) // ONE, is_exact=False)


@pytest.mark.parametrize(
    ("amount", "up", "nearest"),
    [
        (0, 0, 0),
        (1, 1, 0),
        (10**15, 1, 1),
        (10**15 // 2, 1, 1),
        (10**15 // 2 - 1, 1, 0),
        (Fraction(1, 3), 1, 0),
        (Fraction(10**15 * 3, 2), 2, 2),
        (Fraction(10**15 * 4, 3), 2, 1),
    ],
)
def test_an_amount_is_rounded_once(amount: Fine, up: int, nearest: int) -> None:
    """Up for what is held, half away from zero for what was spent."""
    assert (nano_up(amount), nano_nearest(amount)) == (up, nearest)
