"""Charge model `volume`: all units cost what the tier says that the period's total has reached."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from billing_pipeline.rating.charge_models.graduated import zero_of_tiers
from billing_pipeline.rating.charge_models.price import NoPrice, Part, Price, Priced, Segment
from billing_pipeline.rating.charge_models.surroundings import Surroundings, read_tier_by
from billing_pipeline.rating.charge_models.tiers import Tier, read_unit_price_tiers, tier_at, tiers_text
from billing_pipeline.rating.charge_models.zero_usage import read_charge_zero_usage, with_zero_usage
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.money import EXACT

_ZERO = Decimal()


@dataclass(frozen=True)
class Volume(Price):
    """Tiers from 0 on without a gap, the last one open; one of them prices the whole period.

    Attributes:
        charge_zero_usage: the first tier's fee is due without usage, too.
    """

    tiers: tuple[Tier, ...]
    tier_by: tuple[str, ...] = ()
    charge_zero_usage: bool = False

    def rate(self, segment: Segment) -> Sequence[Priced | NoPrice]:
        """Quantity times the reached tier's unit price; its fee is on the pool's last row, once."""
        tier = tier_at(self.tiers, segment.total)
        fee_at = len(segment.rows) - 1 if segment.is_last and segment.total > 0 else -1
        answers: list[Priced] = []
        for index, row in enumerate(segment.rows):
            fee = tier.flat_fee if index == fee_at else _ZERO
            amount = EXACT.fma(row.quantity, tier.each, fee)
            answers.append(Priced(amount, (Part(tier.text, row.quantity, tier.price_text, fee, amount),)))
        return with_zero_usage(answers, segment, self.of_zero())

    def of_zero(self) -> Priced | None:
        """The first tier's fee, where that is wanted."""
        return zero_of_tiers(self.tiers, is_charged=self.charge_zero_usage)

    def describe(self) -> str:
        """`all units: up to 1,000 at 0.01, above 1,000 at 0.005 + 5`."""
        return f"all units: {tiers_text(self.tiers)}"


def read(field: Field, around: Surroundings) -> Volume:
    """`{model: volume, tiers: [{up_to, unit_price, per?, flat_fee?}, …], tier_by?, charge_zero_usage?}`."""
    keys = field.mapping(required=("model", "tiers"), optional=("tier_by", "charge_zero_usage"))
    tiers = read_unit_price_tiers(keys["tiers"])
    tier_by = read_tier_by(keys.get("tier_by"), around)
    return Volume(tiers, tier_by, read_charge_zero_usage(keys.get("charge_zero_usage"), tier_by))
