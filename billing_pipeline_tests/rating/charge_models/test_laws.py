"""What holds for every charge model: sums do not depend on how, or in which order, a quantity comes."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_pipeline.rating.charge_models.by_name import CHARGE_MODELS
from billing_pipeline.rating.charge_models.price import Price, Priced, Segment
from billing_pipeline.rating.money import EXACT, sum_exact

TIERS = "tiers: [{up_to: 10, unit_price: 5, flat_fee: 2}, {up_to: 20.5, unit_price: 1000, per: 1000}, {unit_price: 7}]"
PRICES = (
    "{model: per_unit, unit_price: 0.12, per: 1000}",
    f"{{model: graduated, {TIERS}}}",
    "{model: graduated, tiers: [{up_to: 10, unit_price: 5, amount_cap: 30}, {unit_price: 3, amount_cap: 40}]}",
    f"{{model: graduated, charge_zero_usage: true, {TIERS}}}",
    f"{{model: volume, {TIERS}}}",
    f"{{model: volume, charge_zero_usage: true, {TIERS}}}",
    "{model: volume, tiers: [{up_to: 10, unit_price: 1}, {unit_price: 2, flat_fee: 3}]}",
    "{model: package, size: 2.5, unit_price: 3, free_units: 4}",
    "{model: included, included: 10, unit_price: 0.3}",
    "{model: capacity, tiers: [{up_to: 5, amount: 10}, {up_to: 20, amount: 30}, {amount: 50}]}",
    "{model: capacity, charge_zero_usage: true, tiers: [{up_to: 5, amount: 10}, {amount: 50}]}",
    "{model: percentage, percent: 2.9, fixed_fee: 0.30, free_events: 3, free_amount: 10}",
    "{model: percentage, percent: 2.9, per_event_min: 0.1, per_event_max: 0.8, amount_dimension: paid}",
    "{model: graduated_percentage, tiers: [{up_to: 10, percent: 3, flat_fee: 1}, {percent: 2, amount_cap: 1}]}",
    "{model: dynamic, price_dimension: unit_cost, per: 1000, markup_percent: 12.345678901}",
)
DIMENSIONS = tuple(f'{{"paid":"{paid}","unit_cost":"{paid}"}}' for paid in ("0", "1.5", "12.50", "40"))
FALLING = ("volume", TIERS)
"""Reaching a cheaper tier makes all units cheaper."""
BY_DIMENSION = ("unit_cost", "amount_dimension")
"""What comes and what goes back may carry different prices."""
_MOST, _LEAST, _PRICE, _PERCENT = (
    f"{'9' * 29}.{'9' * 9}",
    "0.000000001",
    f"{'9' * 12}.{'9' * 15}",
    "9999.999999999",
)
LARGEST = (
    f"{{model: per_unit, unit_price: {_PRICE}}}",
    f"{{model: graduated, tiers: [{{up_to: {_LEAST}, unit_price: {_PRICE}}}, {{unit_price: {_PRICE}, flat_fee: 1}}]}}",
    f"{{model: volume, tiers: [{{up_to: {_LEAST}, unit_price: 0}}, {{unit_price: {_PRICE}, flat_fee: {_PRICE}}}]}}",
    f"{{model: package, size: {_LEAST}, unit_price: {_PRICE}, free_units: {_LEAST}}}",
    f"{{model: package, size: {_MOST}, unit_price: {_PRICE}}}",
    f"{{model: included, included: {_LEAST}, unit_price: {_PRICE}}}",
    f"{{model: capacity, tiers: [{{up_to: {_MOST}, amount: {_PRICE}}}, {{amount: {_PRICE}}}]}}",
    f"{{model: percentage, percent: {_PERCENT}, fixed_fee: {_PRICE}, free_amount: {_LEAST}}}",
    f"{{model: percentage, percent: {_PERCENT}, fixed_fee: {_PRICE}, amount_dimension: paid}}",
    f"{{model: graduated_percentage, tiers: [{{up_to: {_LEAST}, percent: 0}}, {{percent: {_PERCENT}, flat_fee: 1}}]}}",
    f"{{model: dynamic, price_dimension: unit_cost, markup_percent: {_PERCENT}}}",
)
"""Terms with as many digits as they may have."""


class Row(NamedTuple):
    quantity: Decimal
    event_count: int
    dimensions: str


QUANTITY = st.decimals(min_value=0, max_value=30, places=1) | st.decimals(
    min_value=0, max_value=10**12, places=9
)
ROW = st.builds(Row, QUANTITY, st.integers(0, 5), st.sampled_from(DIMENSIONS))
ROWS = st.lists(ROW, min_size=1, max_size=5)


def moves(rows: Sequence[tuple[Row, bool]]) -> list[Row]:
    """Rows of which some go back, together never below nothing."""
    found: list[Row] = []
    for row, is_back in rows:
        quantity = sum_exact(each.quantity for each in found)
        events = sum(each.event_count for each in found)
        less = EXACT.minus(min(row.quantity, quantity)), -min(row.event_count, events), row.dimensions
        found.append(Row(*less) if is_back else row)
    return found


MOVES = st.lists(st.tuples(ROW, st.booleans()), min_size=1, max_size=5).map(moves)
SHARE = st.sampled_from([Fraction(1), Fraction(10, 31), Fraction(0)])
every_price = pytest.mark.parametrize("terms", PRICES)
few = settings(max_examples=8, deadline=None)
Read = Callable[[str], Price]


def answers(price: Price, rows: Sequence[Row], share: Fraction = Fraction(1), cut: int = 0) -> list[Priced]:
    """What a whole pool costs, in one segment or in two of the same version."""
    total = sum_exact(row.quantity for row in rows)
    before = sum_exact(row.quantity for row in rows[:cut])
    events = sum(row.event_count for row in rows[:cut])
    found = list(price.rate(Segment(before, total, rows[cut:], events, is_last=True, share=share)))
    if cut:
        found = [*price.rate(Segment(Decimal(), total, rows[:cut], is_last=False, share=share)), *found]
    assert len(found) == len(rows)
    priced = [answer for answer in found if isinstance(answer, Priced)]
    assert len(priced) == len(rows)
    return priced


def total_of(price: Price, rows: Sequence[Row], share: Fraction = Fraction(1), cut: int = 0) -> Fraction:
    return sum((Fraction(answer.amount) for answer in answers(price, rows, share, cut)), Fraction())


def test_every_charge_model_is_held_to_the_laws() -> None:
    """A new model has its terms in the list above."""
    assert {terms.removeprefix("{model: ").partition(",")[0] for terms in PRICES} == set(CHARGE_MODELS)


@every_price
@few
@given(rows=MOVES, share=SHARE)
def test_parts_add_up_to_the_amount(read: Read, terms: str, rows: list[Row], share: Fraction) -> None:
    """To the last digit, ratios too."""
    for answer in answers(read(terms), rows, share):
        assert sum(Fraction(part.amount) for part in answer.parts) == Fraction(answer.amount)


@every_price
@few
@given(rows=ROWS, share=SHARE, part=QUANTITY, events=st.integers(0, 5))
def test_splitting_a_row_changes_nothing_in_the_sum(
    read: Read, terms: str, rows: list[Row], share: Fraction, part: Decimal, events: int
) -> None:
    """However the quantity and the events of a row are cut in two."""
    first = rows[0]
    quantity, events = min(part, first.quantity), min(events, first.event_count)
    rest = Row(EXACT.subtract(first.quantity, quantity), first.event_count - events, first.dimensions)
    split = [Row(quantity, events, first.dimensions), rest, *rows[1:]]
    assert total_of(read(terms), split, share) == total_of(read(terms), rows, share)


@every_price
@few
@given(rows=ROWS, share=SHARE, order=st.randoms(use_true_random=False))
def test_the_order_within_a_pool_changes_nothing_in_the_total(
    read: Read, terms: str, rows: list[Row], share: Fraction, order: object
) -> None:
    """Rows may share the amount differently, the pool costs the same."""
    shuffled = [*rows]
    order.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis has no public name for its type
    assert total_of(read(terms), shuffled, share) == total_of(read(terms), rows, share)


@every_price
@few
@given(rows=MOVES, share=SHARE, data=st.data())
def test_cutting_a_pool_into_two_segments_changes_nothing(
    read: Read, terms: str, rows: list[Row], share: Fraction, data: st.DataObject
) -> None:
    """F(end) - F(cut) and F(cut) - F(0) are F(end) - F(0), row by row, up and back."""
    cut = data.draw(st.integers(0, len(rows) - 1))
    assert answers(read(terms), rows, share, cut) == answers(read(terms), rows, share)


@pytest.mark.parametrize("terms", [terms for terms in PRICES if not all(each in terms for each in FALLING)])
@few
@given(rows=ROWS, share=SHARE)
def test_more_usage_never_costs_less(read: Read, terms: str, rows: list[Row], share: Fraction) -> None:
    """And usage never costs less than nothing."""
    costs = [total_of(read(terms), rows[:count], share) for count in range(1, len(rows) + 1)]
    assert costs == sorted(costs)
    assert costs[0] >= 0


@every_price
@few
@given(rows=ROWS, share=SHARE)
def test_usage_that_is_taken_back_costs_what_no_usage_costs(
    read: Read, terms: str, rows: list[Row], share: Fraction
) -> None:
    """Nothing, or what is charged for zero usage."""
    back = [Row(EXACT.minus(row.quantity), -row.event_count, row.dimensions) for row in rows]
    zero = read(terms).of_zero()
    assert total_of(read(terms), [*rows, *back], share) == (Fraction(zero.amount) if zero else 0)


@pytest.mark.parametrize(
    "terms", [terms for terms in PRICES if not any(each in terms for each in BY_DIMENSION)]
)
@few
@given(rows=MOVES, share=SHARE)
def test_usage_that_comes_and_goes_never_costs_less_than_nothing(
    read: Read, terms: str, rows: list[Row], share: Fraction
) -> None:
    """What goes back gives back no more than it had cost."""
    assert total_of(read(terms), rows, share) >= 0


@pytest.mark.parametrize("terms", LARGEST)
@pytest.mark.parametrize("share", [Fraction(1), Fraction(10, 31)])
def test_no_digit_is_lost_at_the_largest_and_the_smallest(read: Read, terms: str, share: Fraction) -> None:
    """There and back again, with the most digits that terms, quantities and dimensions have."""
    carried = f'{{"paid":"{_MOST}","unit_cost":"{_PRICE}"}}'
    rows = [Row(Decimal(text), 999_999_999, carried) for text in (_LEAST, _MOST)]
    back = [Row(EXACT.minus(row.quantity), -row.event_count, row.dimensions) for row in rows]
    assert total_of(read(terms), rows, share) > 0
    assert total_of(read(terms), [*rows, *back], share) == 0
