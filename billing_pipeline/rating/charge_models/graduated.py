"""Charge model `graduated`: each unit costs what the tier says that the position has reached.

With tiers up to 10, up to 20 and open, unit 10 is in the first tier and what comes above 10 in the second,
so 10.5 units are 10 of the first and 0.5 of the second.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from billing_pipeline.rating.charge_models.price import NoPrice, Part, Price, Priced, Segment
from billing_pipeline.rating.charge_models.surroundings import Surroundings, read_tier_by
from billing_pipeline.rating.charge_models.unit_price import UnitPrice, read_per, read_price
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.money import EXACT, grouped, negated, plain

TIERS_MOST = 100
_ZERO = Decimal()


@dataclass(frozen=True)
class Tier:
    """A stretch of positions (above, up_to] with its unit price, and a fee once it is entered.

    Attributes:
        above: where the tier starts, exclusive.
        up_to: where it ends, inclusive; None is open.
    """

    above: Decimal
    up_to: Decimal | None
    unit_price: UnitPrice
    flat_fee: Decimal = Decimal()

    @cached_property
    def text(self) -> str:
        """The tier for people: `up to 1,000`, `above 1,000`."""
        return f"above {grouped(self.above)}" if self.up_to is None else f"up to {grouped(self.up_to)}"


@dataclass(frozen=True)
class Graduated(Price):
    """Tiers from 0 on without a gap, the last one open."""

    tiers: tuple[Tier, ...]
    tier_by: tuple[str, ...] = ()

    def rate(self, segment: Segment) -> Sequence[Priced | NoPrice]:
        """F(position after the row) - F(position before it), where F(q) prices the first q units."""
        answers: list[Priced] = []
        position = segment.before
        for row in segment.rows:
            after = EXACT.add(position, row.quantity)
            answers.append(self._between(position, after))
            position = after
        return answers

    def describe(self) -> str:
        """`up to 1,000 at 0.01, above 1,000 at 0.005 + 5`."""
        return ", ".join(
            f"{tier.text} at {tier.unit_price.text}" + (f" + {plain(tier.flat_fee)}" if tier.flat_fee else "")
            for tier in self.tiers
        )

    def _between(self, before: Decimal, after: Decimal) -> Priced:
        if after < before:
            amount, given_back = self._between(after, before)
            return Priced(negated(amount), tuple(_negative(part) for part in given_back))
        total = _ZERO
        parts: list[Part] = []
        for tier in self.tiers:
            if after <= tier.above:
                break
            if tier.up_to is not None and before >= tier.up_to:
                continue
            end = after if tier.up_to is None or after < tier.up_to else tier.up_to
            entered = before <= tier.above
            quantity = EXACT.subtract(end, tier.above if entered else before)
            fee = tier.flat_fee if entered else _ZERO
            amount = EXACT.fma(quantity, tier.unit_price.each, fee)
            parts.append(Part(tier.text, quantity, tier.unit_price.text, fee, amount))
            total = EXACT.add(total, amount)
        return Priced(total, tuple(parts))


def _negative(part: Part) -> Part:
    return Part(
        part.tier,
        EXACT.minus(part.quantity),
        part.unit_price,
        EXACT.minus(part.flat_fee),
        negated(part.amount),
    )


def read(field: Field, around: Surroundings) -> Graduated:
    """`{model: graduated, tiers: [{up_to, unit_price, per?, flat_fee?}, …], tier_by?}`, the last open."""
    keys = field.mapping(required=("model", "tiers"), optional=("tier_by",))
    items = keys["tiers"].items(least=1, most=TIERS_MOST)
    tiers: list[Tier] = []
    above = _ZERO
    for index, item in enumerate(items):
        tier = _read_tier(item, above, last=index == len(items) - 1)
        tiers.append(tier)
        above = tier.up_to or above
    return Graduated(tuple(tiers), read_tier_by(keys.get("tier_by"), around))


def _read_tier(item: Field, above: Decimal, *, last: bool) -> Tier:
    keys = item.mapping(required=("unit_price",), optional=("up_to", "per", "flat_fee"))
    per = read_per(keys.get("per"))
    price = UnitPrice(read_price(keys["unit_price"], per), per)
    fee = read_price(keys["flat_fee"], 1) if "flat_fee" in keys else _ZERO
    up_to = keys["up_to"].decimal(integer_digits=29, fraction_digits=9) if "up_to" in keys else None
    if last and "up_to" in keys:
        keys["up_to"].fault("closes the last tier; leave it out, so that every quantity has a price")
    elif not last and "up_to" not in keys:
        item.fault("has no `up_to`, but more tiers follow; give its inclusive upper bound")
    elif up_to is not None and up_to <= above:
        keys["up_to"].fault(f"{plain(up_to)} is not above the tier before, which ends at {plain(above)}")
    return Tier(above, up_to, price, fee)
