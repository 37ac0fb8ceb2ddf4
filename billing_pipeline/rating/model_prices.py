"""Published prices of models, as they are in force on a day: what a rule book can be made of."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from billing_pipeline.rating.money import UNIT_PRICE_FRACTION_DIGITS, UNIT_PRICE_INTEGER_DIGITS, plain

PER = 1_000_000
_ZEROS = 6


class TokenPrice(NamedTuple):
    """What 1,000,000 tokens of a class cost, in US dollars; `note` says under which conditions others apply."""

    token_class: str
    price: Decimal
    note: str = ""


class ModelPrices(NamedTuple):
    """One model of a provider.

    Attributes:
        names: whole names under which events may name it; without one it has no rows.
        prices: by token class.
        left_out: what a price table cannot say of it, one sentence each.
    """

    provider: str
    model: str
    names: tuple[str, ...]
    prices: tuple[TokenPrice, ...]
    left_out: tuple[str, ...] = ()

    @property
    def row_count(self) -> int:
        """How many rows of a price table it makes."""
        return len(self.names) * len(self.prices)


class PriceList(NamedTuple):
    """The prices of some models on one day."""

    day: date
    models: tuple[ModelPrices, ...]

    @property
    def row_count(self) -> int:
        """How many rows of a price table it makes."""
        return sum(model.row_count for model in self.models)

    @property
    def providers(self) -> tuple[str, ...]:
        """The providers, sorted."""
        return tuple(sorted({model.provider for model in self.models}))

    def by_row(self) -> dict[tuple[str, str, str], Decimal]:
        """The price of each row: provider, name, token class."""
        return {
            (model.provider, name, price.token_class): price.price
            for model in self.models
            for name in model.names
            for price in model.prices
        }


class PriceChange(NamedTuple):
    """A row that costs something else from a day on; None where it is not there."""

    day: date
    provider: str
    name: str
    token_class: str
    old: Decimal | None
    new: Decimal | None

    def __str__(self) -> str:
        old, new = (("none" if price is None else plain(price)) for price in (self.old, self.new))
        return f"{self.day}: {self.provider} {self.name} {self.token_class}: {old} -> {new}"


def price_changes(earlier: PriceList, later: PriceList) -> Iterator[PriceChange]:
    """The rows that cost something else in the later list, in the order of their names."""
    before, after = earlier.by_row(), later.by_row()
    for row in sorted(before.keys() | after.keys()):
        if before.get(row) != after.get(row):
            yield PriceChange(later.day, *row, before.get(row), after.get(row))


def fits(price: Decimal) -> bool:
    """Whether a price per 1,000,000 has no more digits than a rule book may give it."""
    whole, _, fraction = plain(price).partition(".")
    return len(whole) <= UNIT_PRICE_INTEGER_DIGITS and len(fraction) <= UNIT_PRICE_FRACTION_DIGITS - _ZEROS
