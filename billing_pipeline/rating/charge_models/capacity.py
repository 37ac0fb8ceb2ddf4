"""Charge model `capacity` (stair step): the whole quantity costs the amount of the step that it falls in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from billing_pipeline.rating.charge_models.positions import along
from billing_pipeline.rating.charge_models.price import NoPrice, Part, Price, Priced, Segment
from billing_pipeline.rating.charge_models.surroundings import Surroundings, read_tier_by
from billing_pipeline.rating.charge_models.tiers import Bounds, read_tiers, tier_at
from billing_pipeline.rating.charge_models.unit_price import read_price
from billing_pipeline.rating.charge_models.zero_usage import (
    read_charge_zero_usage,
    with_zero_usage,
    zero_usage,
)
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.money import EXACT, plain

_ZERO = Decimal()
_NO_UNIT_PRICE = "0"


@dataclass(frozen=True)
class Step(Bounds):
    """A stretch of quantities that all cost the same amount."""

    amount: Decimal


@dataclass(frozen=True)
class Capacity(Price):
    """Steps from 0 on without a gap, the last one open. Nothing costs nothing, unless that is charged, too."""

    tiers: tuple[Step, ...]
    tier_by: tuple[str, ...] = ()
    charge_zero_usage: bool = False

    def rate(self, segment: Segment) -> Sequence[Priced | NoPrice]:
        """The step that the position after a row lies in, less the one before it."""
        return with_zero_usage(along(segment, self._between), segment, self.of_zero())

    def of_zero(self) -> Priced | None:
        """The first step's amount, where that is wanted."""
        first = self.tiers[0]
        return zero_usage(first.text, _NO_UNIT_PRICE, first.amount, is_charged=self.charge_zero_usage)

    def describe(self) -> str:
        """`up to 10 for 100, above 10 for 150`."""
        return ", ".join(f"{step.text} for {plain(step.amount)}" for step in self.tiers)

    def _between(self, before: Decimal, after: Decimal) -> Priced:
        quantity = EXACT.subtract(after, before)
        old = tier_at(self.tiers, before) if before > 0 else None
        new = tier_at(self.tiers, after) if after > 0 else None
        if new is old:
            text = new.text if new else ""
            return Priced(_ZERO, (Part(text, quantity, _NO_UNIT_PRICE, _ZERO, _ZERO),) if quantity else ())
        parts: list[Part] = []
        total = _ZERO
        if new is not None:
            parts.append(Part(new.text, quantity, _NO_UNIT_PRICE, new.amount, new.amount))
            total = new.amount
        if old is not None:
            less = EXACT.minus(old.amount)
            parts.append(Part(f"instead of {old.text}", _ZERO, _NO_UNIT_PRICE, less, less))
            total = EXACT.add(total, less)
        return Priced(total, tuple(parts))


def read(field: Field, around: Surroundings) -> Capacity:
    """`{model: capacity, tiers: [{up_to, amount}, …], tier_by?, charge_zero_usage?}`, the last open."""
    keys = field.mapping(required=("model", "tiers"), optional=("tier_by", "charge_zero_usage"))
    steps = read_tiers(keys["tiers"], _read_step, required=("amount",))
    tier_by = read_tier_by(keys.get("tier_by"), around)
    return Capacity(steps, tier_by, read_charge_zero_usage(keys.get("charge_zero_usage"), tier_by))


def _read_step(keys: Mapping[str, Field], above: Decimal, up_to: Decimal | None) -> Step:
    return Step(above, up_to, read_price(keys["amount"], 1))
