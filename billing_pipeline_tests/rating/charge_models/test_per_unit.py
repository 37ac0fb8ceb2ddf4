"""A unit price is quantity times price; a price table finds the price by dimensions or says it has none."""

from decimal import Decimal
from typing import NamedTuple

import pytest

from billing_pipeline.rating.charge_models.per_unit import PerUnit
from billing_pipeline.rating.charge_models.price import NoPrice, Priced, Segment
from billing_pipeline.rating.charge_models.price_table import PriceTable
from billing_pipeline.rating.charge_models.unit_price import UnitPrice


class Row(NamedTuple):
    dimensions: str
    quantity: Decimal
    event_count: int = 1


TABLE = PriceTable(
    currency="usd",
    by=("model", "token_class"),
    prices={
        ("a", "input"): UnitPrice(Decimal("0.075"), 1_000_000),
        ("a", "output"): UnitPrice(Decimal(0), 1_000_000),
    },
)


def rate(price: PerUnit, dimensions: str, quantity: str) -> Priced | NoPrice:
    row = Row(dimensions, Decimal(quantity))
    (answer,) = price.rate(Segment(Decimal(5), Decimal(99), [row]))
    return answer


@pytest.mark.parametrize(
    ("price", "per", "quantity", "amount"),
    [
        ("0.01", 1, "3", "0.03"),
        ("0.12", 1000, "1500", "0.18"),
        ("0.075", 1_000_000, "1", "0.000000075"),
        ("0.000000000000001", 1, "0.000000001", "1E-24"),
        ("999999999999", 1, "9" * 29 + "." + "9" * 9, "99999999999899999999999999999999999999000.000000001"),
    ],
)
def test_a_flat_price_is_exact_for_any_quantity(price: str, per: int, quantity: str, amount: str) -> None:
    """From the smallest product to the largest, with every digit."""
    answer = rate(PerUnit(flat=UnitPrice(Decimal(price), per)), "{}", quantity)
    assert isinstance(answer, Priced)
    assert answer.amount == Decimal(amount)
    assert [part.amount for part in answer.parts] == [answer.amount]


def test_a_table_prices_by_its_own_dimensions_whatever_else_a_row_has() -> None:
    """Other dimensions of the row do not matter."""
    answer = rate(PerUnit(table=TABLE), '{"model":"a","region":"eu","token_class":"input"}', "2000000")
    assert isinstance(answer, Priced)
    assert answer.amount == Decimal("0.15")
    assert answer.parts[0].unit_price == "0.075 per 1,000,000"


def test_a_price_of_zero_is_a_price() -> None:
    """Free by a row of the table is priced."""
    answer = rate(PerUnit(table=TABLE), '{"model":"a","token_class":"output"}', "7")
    assert isinstance(answer, Priced)
    assert answer.amount == 0


@pytest.mark.parametrize(
    ("dimensions", "wanted"),
    [
        ('{"model":"b","token_class":"input"}', "model=b, token_class=input"),
        ('{"model":"a"}', "model=a, token_class=None"),
        ('{"model":"a","token_class":null}', "model=a, token_class=None"),
        ("{}", "model=None, token_class=None"),
    ],
)
def test_a_combination_without_a_row_has_no_price(dimensions: str, wanted: str) -> None:
    """A missing price is said, never zero."""
    assert rate(PerUnit(table=TABLE), dimensions, "1") == NoPrice(wanted)


def test_an_explicit_default_prices_every_other_combination() -> None:
    """Also rows that lack a dimension."""
    table = PriceTable("usd", ("model",), {("a",): UnitPrice(Decimal(1))}, default=UnitPrice(Decimal(2)))
    for dimensions, amount in [('{"model":"a"}', 3), ('{"model":"b"}', 6), ("{}", 6)]:
        answer = rate(PerUnit(table=table), dimensions, "3")
        assert isinstance(answer, Priced)
        assert answer.amount == amount
