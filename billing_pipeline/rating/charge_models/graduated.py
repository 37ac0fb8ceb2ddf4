"""Charge model `graduated`: each unit costs what the tier says that the position has reached."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from billing_pipeline.rating.charge_models.positions import along
from billing_pipeline.rating.charge_models.price import NoPrice, Part, Price, Priced, Segment
from billing_pipeline.rating.charge_models.surroundings import Surroundings, read_tier_by
from billing_pipeline.rating.charge_models.tiers import ChargedTier, Tier, read_unit_price_tiers, tiers_text
from billing_pipeline.rating.charge_models.zero_usage import (
    read_charge_zero_usage,
    with_zero_usage,
    zero_usage,
)
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.money import EXACT

_ZERO = Decimal()
_ADD, _SUBTRACT, _FMA = EXACT.add, EXACT.subtract, EXACT.fma  # bound once: this is the inner loop of rating


@dataclass(frozen=True)
class Graduated(Price):
    """Tiers from 0 on without a gap, the last one open.

    Attributes:
        charge_zero_usage: the first tier's fee is due without usage, too.
    """

    tiers: tuple[Tier, ...]
    tier_by: tuple[str, ...] = ()
    charge_zero_usage: bool = False

    def rate(self, segment: Segment) -> Sequence[Priced | NoPrice]:
        """F(position after the row) - F(position before it), where F(q) prices the first q units."""
        answers = along(segment, partial(price_between, self.tiers))
        return with_zero_usage(answers, segment, self.of_zero()) if self.charge_zero_usage else answers

    def of_zero(self) -> Priced | None:
        """The first tier's fee, where that is wanted."""
        return zero_of_tiers(self.tiers, is_charged=self.charge_zero_usage)

    def describe(self) -> str:
        """`up to 1,000 at 0.01, above 1,000 at 0.005 + 5`."""
        return tiers_text(self.tiers)


def price_between(tiers: Sequence[ChargedTier], before: Decimal, after: Decimal) -> Priced:
    """The sum over the tiers of what lies in them, with the fees of those that are entered."""
    parts: list[Part] = []
    total: Decimal | None = None
    for tier in tiers:
        above, up_to = tier.above, tier.up_to
        if after <= above:
            break
        if up_to is not None and before >= up_to:
            continue
        end = after if up_to is None or after < up_to else up_to
        entered = before <= above
        start = above if entered else before
        quantity = _SUBTRACT(end, start) if start else end
        fee = tier.flat_fee if entered else _ZERO
        cap = tier.amount_cap
        if cap is None:
            amount = _FMA(quantity, tier.each, fee)
        else:
            amount = _ADD(_SUBTRACT(_capped(tier, cap, end), _capped(tier, cap, start)), fee)
        parts.append(Part(tier.text, quantity, tier.price_text, fee, amount))
        total = amount if total is None else _ADD(total, amount)
    return Priced(_ZERO if total is None else total, tuple(parts))


def zero_of_tiers(tiers: Sequence[ChargedTier], *, is_charged: bool) -> Priced | None:
    """The first tier's fee, or None where it is not charged without usage."""
    first = tiers[0]
    return zero_usage(first.text, first.price_text, first.flat_fee, is_charged=is_charged)


def _capped(tier: ChargedTier, amount_cap: Decimal, position: Decimal) -> Decimal:
    return min(amount_cap, EXACT.multiply(_SUBTRACT(position, tier.above), tier.each))


def read(field: Field, around: Surroundings) -> Graduated:
    """`{model: graduated, tiers: [{up_to, unit_price, per?, flat_fee?, amount_cap?}, …], tier_by?, …}`."""
    keys = field.mapping(required=("model", "tiers"), optional=("tier_by", "charge_zero_usage"))
    tiers = read_unit_price_tiers(keys["tiers"], optional=("amount_cap",))
    tier_by = read_tier_by(keys.get("tier_by"), around)
    return Graduated(tiers, tier_by, read_charge_zero_usage(keys.get("charge_zero_usage"), tier_by))
