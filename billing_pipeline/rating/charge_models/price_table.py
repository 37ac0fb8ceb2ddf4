"""A price table: the unit price for each combination of dimension values, shared by plans of one currency."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from billing_pipeline.rating.charge_models.price import NoPrice, dimension_values
from billing_pipeline.rating.charge_models.unit_price import UnitPrice, read_per, read_price
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.money import is_currency

DIMENSIONS_MOST = 8
DIMENSION_CHARACTERS_MOST = 64
SEEN_MOST = 100_000


@dataclass(frozen=True)
class PriceTable:
    """Prices by the values of `by`, in that order.

    Attributes:
        by: the dimensions that decide, at most 8.
        prices: one unit price per combination of values; compiled once, looked up by tuple.
        default: the price of every other combination; None refuses them.
    """

    currency: str
    by: tuple[str, ...]
    prices: Mapping[tuple[str | None, ...], UnitPrice]
    default: UnitPrice | None = None

    def price_of(self, dimensions: str) -> UnitPrice | NoPrice:
        """The unit price for a row's dimensions (canonical JSON text)."""
        found = self._seen.get(dimensions)
        if found is None:
            found = self._look_up(dimensions)
            if len(self._seen) < SEEN_MOST:
                self._seen[dimensions] = found
        return found

    @cached_property
    def _seen(self) -> dict[str, UnitPrice | NoPrice]:
        # Rows repeat few distinct texts: one dictionary look-up instead of parsing and making the tuple.
        return {}

    def _look_up(self, dimensions: str) -> UnitPrice | NoPrice:
        values = dimension_values(dimensions)
        wanted = tuple([values.get(name) for name in self.by])
        found = self.prices.get(wanted, self.default)
        if found is None:
            return NoPrice(", ".join(f"{name}={value}" for name, value in zip(self.by, wanted, strict=True)))
        return found


def read_price_table(field: Field) -> PriceTable:
    """A price table of the rule book: `currency`, `by`, `per`, `rows` and an optional `default`."""
    keys = field.mapping(required=("currency", "by", "rows"), optional=("per", "default"))
    currency = keys["currency"].text()
    if currency and not is_currency(currency):
        keys["currency"].fault(
            f"unknown currency {currency!r}; give a code of ISO 4217 in lower case, like usd"
        )
    by = read_dimensions(keys["by"], least=1)
    per = read_per(keys.get("per"))
    prices = read_rows(keys["rows"], by, per)
    return PriceTable(currency, by, prices, _read_default(keys.get("default"), per))


def read_rows(field: Field, by: tuple[str, ...], per: int = 1) -> Mapping[tuple[str | None, ...], UnitPrice]:
    """Rows `{match, unit_price, per?}`: the unit price by the values of `by`, each combination once."""
    prices: dict[tuple[str | None, ...], UnitPrice] = {}
    for row in field.items(least=1):
        match, price = _read_row(row, by, per)
        if match in prices:
            row.fault(f"the values {', '.join(match)} have a price in an earlier row; keep one")
        prices[match] = price
    return prices


def read_dimensions(field: Field, *, least: int = 0) -> tuple[str, ...]:
    """A list of distinct dimension names, at most 8."""
    names: list[str] = []
    for item in field.items(least=least, most=DIMENSIONS_MOST):
        name = item.text(most=DIMENSION_CHARACTERS_MOST)
        if name in names:
            item.fault(f"{name!r} is named twice; keep one")
        names.append(name)
    return tuple(names)


def _read_row(row: Field, by: tuple[str, ...], per: int) -> tuple[tuple[str, ...], UnitPrice]:
    keys = row.mapping(required=("match", "unit_price"), optional=("per",))
    values = keys["match"].mapping(required=by)
    row_per = read_per(keys["per"]) if "per" in keys else per
    price = UnitPrice(read_price(keys["unit_price"], row_per), row_per)
    return tuple(values[name].text() for name in by), price


def _read_default(field: Field | None, per: int) -> UnitPrice | None:
    if field is None:
        return None
    keys = field.mapping(required=("unit_price",), optional=("per",))
    default_per = read_per(keys["per"]) if "per" in keys else per
    return UnitPrice(read_price(keys["unit_price"], default_per), default_per)
