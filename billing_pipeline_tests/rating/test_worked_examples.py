"""What other products publish as worked examples of prices comes out to the cent."""

from decimal import Decimal
from fractions import Fraction

import pytest

from billing_pipeline.rating.charge_models.by_name import read_charge_model
from billing_pipeline.rating.charge_models.price import Price, Priced, Segment
from billing_pipeline.rating.charge_models.surroundings import Surroundings
from billing_pipeline.rating.money import round_minor, sum_exact
from billing_pipeline_tests.rating.worked_example import (
    SOURCES,
    Example,
    charge_examples,
    invoice_examples,
    number,
    own,
    plan_examples,
)

CHARGES = charge_examples()
STATED_LEAST = 60


def price_of(example: Example) -> Price:
    group_by = (
        tuple(item.text() for item in example.keys["group_by"].items()) if "group_by" in example.keys else ()
    )
    field = own(example.keys["price"])
    price = read_charge_model(field, Surroundings(example.text("currency", ""), group_by, {}))
    field.raise_faults()
    assert price is not None
    return price


def amount_of(price: Price, example: Example) -> Fraction:
    rows = example.rows()
    before = Decimal(example.text("before", "0"))
    quantity = sum_exact(row.quantity for row in rows)
    if not before and not quantity:
        answer = price.of_zero()
        return Fraction(answer.amount) if answer else Fraction()
    segment = Segment(before, before + quantity, rows, int(example.text("events_before", "0")))
    answers = price.rate(segment)
    assert all(isinstance(answer, Priced) for answer in answers)
    return sum((Fraction(answer.amount) for answer in answers if isinstance(answer, Priced)), Fraction())


@pytest.mark.parametrize("example", CHARGES, ids=[example.id for example in CHARGES])
def test_a_price_gives_the_published_amount(example: Example) -> None:
    """Rounded to the currency's minor unit, and exactly where the page has more digits."""
    amount = amount_of(price_of(example), example)
    currency = example.text("currency", "")
    assert round_minor(amount, currency) == round_minor(number(example.keys["amount"]), currency)
    if "exact" in example.keys:
        assert amount == Fraction(number(example.keys["exact"]))


def test_there_are_sixty_stated_examples_of_five_products() -> None:
    """Those that follow from published terms only are not counted; ids are unique."""
    examples = [*CHARGES, *plan_examples(), *invoice_examples()]
    stated = [example for example in examples if not example.derived]
    assert len(stated) >= STATED_LEAST
    assert {example.page.source for example in stated} == set(SOURCES)
    assert len({(example.id, example.page.url) for example in examples}) == len(examples)
