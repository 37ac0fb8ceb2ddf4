"""Charge model `included`: a quantity per usage period is paid with the plan, what is used above it costs extra."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import partial

from billing_pipeline.rating.charge_models.positions import along
from billing_pipeline.rating.charge_models.price import NoPrice, Part, Price, Priced, Segment
from billing_pipeline.rating.charge_models.surroundings import Surroundings, read_tier_by
from billing_pipeline.rating.charge_models.unit_price import UnitPrice, read_per, read_price
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.money import EXACT, grouped

_ZERO = Decimal()
_QUANTITY_DIGITS = 9


@dataclass(frozen=True)
class Included(Price):
    """max(0, quantity - included x share of the period) x unit_price.

    The included quantity is a term of the whole period: it comes from the version at its start, while each version
    prices what is used above it under that version.

    Attributes:
        prorate: a plan in force for a part of the period includes that part of the quantity.
    """

    included: Decimal
    unit_price: UnitPrice
    prorate: bool = True
    tier_by: tuple[str, ...] = ()

    @property
    def has_period_terms(self) -> bool:
        """The included quantity is one."""
        return True

    def rate(self, segment: Segment) -> Sequence[Priced | NoPrice]:
        """What each row has above the included quantity, at the unit price."""
        opening = segment.opening if isinstance(segment.opening, Included) else self
        return along(segment, partial(self._between, opening._included_in(segment)))

    def describe(self) -> str:
        """`1,000 included, then 0.01`."""
        return f"{grouped(self.included)} included, then {self.unit_price.text}"

    def _included_in(self, segment: Segment) -> Decimal | Fraction:
        share = segment.share if self.prorate else Fraction(segment.held)
        if share.denominator == 1:
            return EXACT.multiply(self.included, Decimal(share.numerator))
        return Fraction(self.included) * share

    def _between(self, included: Decimal | Fraction, before: Decimal, after: Decimal) -> Priced:
        quantity = EXACT.subtract(after, before)
        if after <= included:
            return Priced(_ZERO, (Part("included", quantity, "0", _ZERO, _ZERO),) if quantity else ())
        amount: Decimal | Fraction
        if before >= included:
            free, amount = _ZERO, EXACT.multiply(quantity, self.unit_price.each)
        elif isinstance(included, Decimal):
            free = EXACT.subtract(included, before)
            amount = EXACT.multiply(EXACT.subtract(after, included), self.unit_price.each)
        else:
            free = _rounded(included - Fraction(before))
            amount = (Fraction(after) - included) * Fraction(self.unit_price.each)
        paid = Part("above included", EXACT.subtract(quantity, free), self.unit_price.text, _ZERO, amount)
        return Priced(amount, (Part("included", free, "0", _ZERO, _ZERO), paid) if free else (paid,))


def _rounded(ratio: Fraction) -> Decimal:
    """A ratio to the digits of a quantity, for people; no amount is made from it."""
    return Decimal(round(ratio * 10**_QUANTITY_DIGITS)).scaleb(-_QUANTITY_DIGITS, EXACT)


def read(field: Field, around: Surroundings) -> Included:
    """`{model: included, included, unit_price, per?, prorate?, tier_by?}`."""
    keys = field.mapping(required=("model", "included", "unit_price"), optional=("per", "prorate", "tier_by"))
    included = keys["included"].decimal(integer_digits=29, fraction_digits=9)
    per = read_per(keys.get("per"))
    price = UnitPrice(read_price(keys["unit_price"], per), per)
    prorate = keys["prorate"].switch() if "prorate" in keys else True
    return Included(included or _ZERO, price, prorate, read_tier_by(keys.get("tier_by"), around))
