"""The most that a quantity costs under a charge, wherever in the period it falls, by the charge model's own answers.

A price is asked for one event after another position than the true one, which nobody knows before the period is over:
the dearest that there is. Terms of the period are not asked for; discounts only lower.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from billing_pipeline.guardrails.pricing.curve import Curve
from billing_pipeline.guardrails.pricing.fine import QUANTITY_DIGITS, QUANTITY_ONE, Fine, fine, whole_or_ratio
from billing_pipeline.rating.charge_models.dynamic import Dynamic
from billing_pipeline.rating.charge_models.free import Free
from billing_pipeline.rating.charge_models.graduated import Graduated
from billing_pipeline.rating.charge_models.graduated_percentage import GraduatedPercentage
from billing_pipeline.rating.charge_models.included import Included
from billing_pipeline.rating.charge_models.package import Package
from billing_pipeline.rating.charge_models.per_unit import PerUnit
from billing_pipeline.rating.charge_models.percentage import Percentage
from billing_pipeline.rating.charge_models.price import NoPrice, Price, Segment
from billing_pipeline.rating.charge_models.unit_price import UnitPrice
from billing_pipeline.rating.money import EXACT

_ZERO = Decimal()


@dataclass(frozen=True)
class Even:
    """Every unit costs the same: fixed + each × quantity.

    Attributes:
        fixed: of an event, whatever its quantity.
        each: of 10⁻⁹ units.
        is_exact: the invoice says the same, wherever in the period it falls.
    """

    fixed: Fine = 0
    each: Fine = 0
    is_exact: bool = True


@dataclass(frozen=True)
class Tiered:
    """Tiers: the dearest stretch of them.

    Attributes:
        whole: with the fees that fall due where a tier is entered, once in a period.
        without_fees: the same without them: what one of many such quantities comes to at most.
    """

    whole: Curve
    without_fees: Curve

    def estimate(self, quantity: int) -> Fine:
        """The most that it can cost."""
        return self.whole.most(quantity) if quantity else 0

    def actual(self, quantity: int) -> Fine:
        """The same, fees not counted."""
        return self.without_fees.most(quantity) if quantity else 0


@dataclass(frozen=True)
class Packages:
    """Packages: all that a quantity may begin; and its share of them."""

    price: Package

    def estimate(self, quantity: int) -> Fine:
        """The most that it can cost."""
        found = _asked(self.price, quantity, before=self.price.free_units)
        assert not isinstance(found, NoPrice)  # noqa: S101 - a package has no price table
        return found

    def actual(self, quantity: int) -> Fine:
        """What it takes of the packages: those that follow go on in the last one."""
        each = Fraction(self.price.unit_price) / Fraction(self.price.size)
        return whole_or_ratio(each * quantity * fine(Decimal(1)) / QUANTITY_ONE)


Bound = Even | Tiered | Packages


def dearest(price: Price, dimensions: str) -> Bound | NoPrice | None:  # noqa: PLR0911 - one per charge model
    """How a charge bounds what usage costs; None where the usage alone does not tell.

    Args:
        price: the charge's.
        dimensions: of the meter, canonical JSON text.
    """
    match price:
        case Free():
            return Even()
        case PerUnit() | Dynamic():
            return _even(price, dimensions)
        case Percentage(amount_dimension=""):
            beyond = _even(price, dimensions, before=price.free_amount, events_before=price.free_events)
            is_exact = not (price.free_amount or price.free_events)
            return replace(beyond, is_exact=is_exact) if isinstance(beyond, Even) else beyond
        case Percentage():
            return _even(price, dimensions)
        case Included():
            beyond = _even(price, dimensions, before=price.included)
            return replace(beyond, is_exact=False) if isinstance(beyond, Even) else beyond
        case Package():
            return Packages(price)
        case Graduated() | GraduatedPercentage():
            return Tiered(_curve(price, with_fees=True), _curve(price, with_fees=False))
    return None


def upper(price: UnitPrice) -> Even:
    """The bound that the policies give a charge."""
    return Even(each=whole_or_ratio(Fraction(fine(price.each)) / QUANTITY_ONE), is_exact=False)


class _Row(NamedTuple):
    dimensions: str
    quantity: Decimal
    event_count: int = 1


def _asked(
    price: Price,
    quantity: int,
    dimensions: str = "{}",
    *,
    before: Decimal = _ZERO,
    events_before: int = 0,
) -> Fine | NoPrice:
    """What the model says that one event costs at a position."""
    row = _Row(dimensions, _units(quantity))
    segment = Segment(before, EXACT.add(before, row.quantity), (row,), events_before)
    (answer,) = price.rate(segment)
    return answer if isinstance(answer, NoPrice) else fine(answer.amount)


def _even(
    price: Price, dimensions: str, *, before: Decimal = _ZERO, events_before: int = 0
) -> Even | NoPrice:
    place = {"before": before, "events_before": events_before}
    fixed = _asked(price, 0, dimensions, **place)  # type: ignore[arg-type]  # each by its name
    one = _asked(price, QUANTITY_ONE, dimensions, **place)  # type: ignore[arg-type]  # as above
    if isinstance(fixed, NoPrice):
        return fixed
    if isinstance(one, NoPrice):
        return one
    return Even(fixed, whole_or_ratio(Fraction(one - fixed) / QUANTITY_ONE))


def _curve(price: Graduated | GraduatedPercentage, *, with_fees: bool) -> Curve:
    asked: Price = price if with_fees else _without_fees(price)

    def cost(position: int) -> Fine:
        found = _asked(asked, position) if position else 0
        assert not isinstance(found, NoPrice)  # noqa: S101 - tiers have no price table
        return found

    return Curve(cost, _enters(price))


def _without_fees(price: Graduated | GraduatedPercentage) -> Price:
    if isinstance(price, Graduated):
        return replace(price, tiers=tuple(replace(tier, flat_fee=_ZERO) for tier in price.tiers))
    return replace(price, tiers=tuple(replace(tier, flat_fee=_ZERO) for tier in price.tiers))


def _enters(price: Graduated | GraduatedPercentage) -> Iterator[int]:
    """Where a tier's first unit lies, and the first one that its cap makes cheaper; in 10⁻⁹ units."""
    for tier in price.tiers:
        above = _position(tier.above)
        yield above + 1
        if tier.amount_cap is not None and tier.each:
            yield above + int(Fraction(tier.amount_cap) / Fraction(tier.each) * QUANTITY_ONE) + 1


def _units(quantity: int) -> Decimal:
    return Decimal(quantity).scaleb(-QUANTITY_DIGITS, EXACT)


def _position(units: Decimal) -> int:
    return int(units.scaleb(QUANTITY_DIGITS, EXACT))
