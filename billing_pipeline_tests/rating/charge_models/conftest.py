"""Prices read from YAML as a rule book has them, and what they make of rows."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import pytest
from ruamel.yaml import YAML

from billing_pipeline.rating.charge_models.by_name import read_charge_model
from billing_pipeline.rating.charge_models.price import Price, Priced, Segment
from billing_pipeline.rating.charge_models.surroundings import Surroundings
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.money import sum_exact

AROUND = Surroundings("usd", ("model", "region", "paid", "unit_cost"), {})


class Row(NamedTuple):
    quantity: Decimal
    event_count: int = 1
    dimensions: str = "{}"


def read_field(text: str) -> tuple[Field, Price | None]:
    """A price's terms as YAML, read; its faults are on the field."""
    field = Field("book.yaml", YAML(typ="safe", pure=True).compose(text), "price")
    return field, read_charge_model(field, AROUND)


@pytest.fixture(scope="session")
def read() -> Callable[[str], Price]:
    """Reads a price without faults."""

    @cache
    def read(text: str) -> Price:
        field, price = read_field(text)
        field.raise_faults()
        assert price is not None
        return price

    return read


@pytest.fixture(scope="session")
def faults_of() -> Callable[[str], list[str]]:
    """The faults of a price, as `line: field: message`."""

    def faults_of(text: str) -> list[str]:
        field, _ = read_field(text)
        return [f"{fault.line}: {fault.field}: {fault.message}" for fault in field.faults]

    return faults_of


@pytest.fixture(scope="session")
def rate() -> Callable[..., list[Any]]:
    """What a price answers for rows `quantity`, `(quantity, events)` or `(quantity, events, dimensions)`."""

    def rate(price: Price, *rows: Any, before: str = "0", **segment: Any) -> list[Any]:
        made = [Row(Decimal(row)) if isinstance(row, str) else Row(Decimal(row[0]), *row[1:]) for row in rows]
        total = sum_exact([Decimal(before), *(row.quantity for row in made)])
        return list(price.rate(Segment(Decimal(before), segment.pop("total", total), made, **segment)))

    return rate


@pytest.fixture(scope="session")
def amounts(rate: Callable[..., list[Any]]) -> Callable[..., list[Fraction]]:
    """The amounts of rows that are all priced."""

    def amounts(price: Price, *rows: Any, **segment: Any) -> list[Fraction]:
        answers = rate(price, *rows, **segment)
        assert all(isinstance(answer, Priced) for answer in answers)
        return [Fraction(answer.amount) for answer in answers]

    return amounts
