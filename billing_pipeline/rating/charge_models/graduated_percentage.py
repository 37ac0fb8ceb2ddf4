"""Charge model `graduated_percentage`: of each part of an amount of money the percentage of the tier that it is in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, partial

from billing_pipeline.rating.charge_models.graduated import price_between, zero_of_tiers
from billing_pipeline.rating.charge_models.percent import percent_text, read_percent, share_of
from billing_pipeline.rating.charge_models.positions import along
from billing_pipeline.rating.charge_models.price import NoPrice, Price, Priced, Segment
from billing_pipeline.rating.charge_models.surroundings import Surroundings, read_tier_by
from billing_pipeline.rating.charge_models.tiers import (
    Bounds,
    capped_text,
    read_amount_cap,
    read_fee,
    read_tiers,
    tiers_text,
)
from billing_pipeline.rating.charge_models.zero_usage import read_charge_zero_usage, with_zero_usage
from billing_pipeline.rating.document import Field


@dataclass(frozen=True)
class PercentTier(Bounds):
    """A tier with its percentage, and a fee that falls due once it is entered.

    Attributes:
        amount_cap: the most that the percentage comes to, the fee not counted; None is no limit.
    """

    percent: Decimal
    flat_fee: Decimal = Decimal()
    amount_cap: Decimal | None = None

    @cached_property
    def each(self) -> Decimal:
        """What one unit of money costs."""
        return share_of(self.percent)

    @cached_property
    def price_text(self) -> str:
        """`2.9 %`, `2.9 %, at most 100`."""
        return percent_text(self.percent) + capped_text(self.amount_cap)


@dataclass(frozen=True)
class GraduatedPercentage(Price):
    """Tiers from 0 on without a gap, the last one open; the quantity is an amount of money in major units."""

    tiers: tuple[PercentTier, ...]
    tier_by: tuple[str, ...] = ()
    charge_zero_usage: bool = False

    def rate(self, segment: Segment) -> Sequence[Priced | NoPrice]:
        """As `graduated`, with percentages for unit prices."""
        return with_zero_usage(along(segment, partial(price_between, self.tiers)), segment, self.of_zero())

    def of_zero(self) -> Priced | None:
        """The first tier's fee, where that is wanted."""
        return zero_of_tiers(self.tiers, is_charged=self.charge_zero_usage)

    def describe(self) -> str:
        """`up to 10,000 at 2.9 %, above 10,000 at 2.5 % + 5`."""
        return tiers_text(self.tiers)


def read(field: Field, around: Surroundings) -> GraduatedPercentage:
    """`{model: graduated_percentage, tiers: [{up_to, percent, flat_fee?, amount_cap?}, …], tier_by?, …}`."""
    keys = field.mapping(required=("model", "tiers"), optional=("tier_by", "charge_zero_usage"))
    tiers = read_tiers(keys["tiers"], _read_tier, required=("percent",), optional=("flat_fee", "amount_cap"))
    tier_by = read_tier_by(keys.get("tier_by"), around)
    zero = read_charge_zero_usage(keys.get("charge_zero_usage"), tier_by)
    return GraduatedPercentage(tiers, tier_by, zero)


def _read_tier(keys: Mapping[str, Field], above: Decimal, up_to: Decimal | None) -> PercentTier:
    return PercentTier(above, up_to, read_percent(keys["percent"]), read_fee(keys), read_amount_cap(keys))
