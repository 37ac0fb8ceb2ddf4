"""A unit price: an amount for 1, 1,000 or 1,000,000 units."""

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from billing_pipeline.rating.document import Field
from billing_pipeline.rating.money import EXACT, UNIT_PRICE_FRACTION_DIGITS, UNIT_PRICE_INTEGER_DIGITS, plain

PER_CHOICES = ("1", "1000", "1000000")


@dataclass(frozen=True)
class UnitPrice:
    """A price for `per` units, as it stands in the rule book, in major units of the currency."""

    price: Decimal
    per: int = 1

    @cached_property
    def each(self) -> Decimal:
        """The exact price of one unit. `per` is a power of ten, so no digit is lost."""
        return self.price.scaleb(-_zeros(self.per), EXACT)

    @cached_property
    def text(self) -> str:
        """The price for people: `0.01`, `15 per 1,000,000`."""
        return plain(self.price) if self.per == 1 else f"{plain(self.price)} per {self.per:,}"


def read_per(field: Field | None) -> int:
    """How many units a price is for; 1 where nothing is said."""
    return int(field.choice(PER_CHOICES) or 1) if field else 1


def read_price(field: Field, per: int) -> Decimal:
    """The price of `per` units, >= 0; of one unit up to 15 fractional digits, so amounts stay exact."""
    fraction_digits = UNIT_PRICE_FRACTION_DIGITS - _zeros(per)
    return (
        field.decimal(integer_digits=UNIT_PRICE_INTEGER_DIGITS, fraction_digits=fraction_digits) or Decimal()
    )


def _zeros(per: int) -> int:
    return len(str(per)) - 1
