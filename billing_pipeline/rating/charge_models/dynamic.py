"""Charge model `dynamic`: every event carries its own unit price in a dimension."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property

from billing_pipeline.rating.charge_models.amount_dimension import carried_amount, read_amount_dimension
from billing_pipeline.rating.charge_models.percent import percent_text, read_percent, share_of
from billing_pipeline.rating.charge_models.price import NoPrice, Part, Price, Priced, Segment
from billing_pipeline.rating.charge_models.surroundings import Surroundings
from billing_pipeline.rating.charge_models.unit_price import UnitPrice, read_per
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.money import EXACT, UNIT_PRICE_FRACTION_DIGITS, UNIT_PRICE_INTEGER_DIGITS

_ZERO = Decimal()


@dataclass(frozen=True)
class Dynamic(Price):
    """quantity x carried price / per x (1 + markup_percent / 100).

    Attributes:
        price_dimension: carries the price for `per` units, in major units, as plain decimal text.
        markup_percent: comes on top.
    """

    price_dimension: str
    per: int = 1
    markup_percent: Decimal = Decimal()

    @property
    def folded(self) -> tuple[str, ...]:
        """Lines leave the price's dimension out; their parts say the prices."""
        return (self.price_dimension,)

    def rate(self, segment: Segment) -> Sequence[Priced | NoPrice]:
        """Row by row; one whose price cannot be read has none."""
        return [self._rate_row(row.dimensions, row.quantity) for row in segment.rows]

    def describe(self) -> str:
        """`the price in unit_cost per 1,000 + 20 %`."""
        per = "" if self.per == 1 else f" per {self.per:,}"
        return f"the price in {self.price_dimension}{per}{self._markup_text}"

    def _rate_row(self, dimensions: str, quantity: Decimal) -> Priced | NoPrice:
        carried = carried_amount(
            dimensions, self.price_dimension, UNIT_PRICE_INTEGER_DIGITS, UNIT_PRICE_FRACTION_DIGITS
        )
        if isinstance(carried, NoPrice):
            return carried
        price = UnitPrice(carried, self.per)
        each = EXACT.multiply(price.each, self._times)
        # With more digits than a table keeps the amount stays exact as a ratio, which knows how to be stored.
        amount: Decimal | Fraction = (
            EXACT.multiply(quantity, each) if _fits(each) else Fraction(quantity) * Fraction(each)
        )
        part = Part("", quantity, price.text + self._markup_text, _ZERO, amount)
        return Priced(amount, (part,))

    @cached_property
    def _times(self) -> Decimal:
        return EXACT.add(Decimal(1), share_of(self.markup_percent))

    @property
    def _markup_text(self) -> str:
        return f" + {percent_text(self.markup_percent)}" if self.markup_percent else ""


def _fits(each: Decimal) -> bool:
    exponent = each.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -UNIT_PRICE_FRACTION_DIGITS


def read(field: Field, around: Surroundings) -> Dynamic:
    """`{model: dynamic, price_dimension, per?, markup_percent?}`."""
    keys = field.mapping(required=("model", "price_dimension"), optional=("per", "markup_percent"))
    name = read_amount_dimension(keys["price_dimension"], around)
    markup = read_percent(keys["markup_percent"]) if "markup_percent" in keys else _ZERO
    return Dynamic(name, read_per(keys.get("per")), markup)
