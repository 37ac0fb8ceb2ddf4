"""Coupons: a percentage of, or an amount off, what a customer pays, once, for some usage periods or for ever."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from billing_pipeline.rating.periods import period_start


@dataclass(frozen=True)
class Coupon:
    """Exactly one of percent (0 to 100) and amount (major units of `currency`) is set.

    Attributes:
        once: it is used up by the first invoice on which it takes anything off.
        periods: for so many usage periods from the one in which it is redeemed; None is for ever. Per usage period
            an amount comes off once.
        applies_to: names of charges and flat fees of any plan; empty means all.
        currency: of the amount; a percentage has none ("") and is for every currency.
    """

    name: str
    percent: Decimal | None = None
    amount: Decimal | None = None
    currency: str = ""
    once: bool = False
    periods: int | None = None
    applies_to: frozenset[str] = frozenset()
    description: str = ""

    def holds_in(self, usage_period: date, redeemed: date, anchor_day: int) -> bool:
        """Whether it counts in a usage period (its start), having been redeemed on a day."""
        first = period_start(redeemed, anchor_day)
        months = (usage_period.year - first.year) * 12 + usage_period.month - first.month
        return months >= 0 and (self.periods is None or months < self.periods)
