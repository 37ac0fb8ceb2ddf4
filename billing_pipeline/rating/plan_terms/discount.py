"""Discounts: a percentage of, or an amount off, what some charges of a plan cost in a usage period."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from billing_pipeline.rating.money import EXACT, minor_exponent, plain

PERCENT_MOST = 100


@dataclass(frozen=True)
class Discount:
    """Exactly one of percent (0 to 100) and amount (major units per usage period) is set.

    Attributes:
        applies_to: names of charges and flat fees; empty means all of the plan.
    """

    name: str
    percent: Decimal | None = None
    amount: Decimal | None = None
    applies_to: frozenset[str] = frozenset()
    description: str = ""


def taken_off(
    percent: Decimal | None, amount: Decimal | None, base_minor: int, currency: str
) -> Decimal | Fraction:
    """What comes off a base (minor units), in major units, before rounding: at most the base, and never below 0."""
    base = Decimal(max(base_minor, 0)).scaleb(-minor_exponent(currency), EXACT)
    if percent is not None:
        return EXACT.multiply(base, percent).scaleb(-2, EXACT)
    return min(amount or Decimal(), base)


def off_text(percent: Decimal | None, amount: Decimal | None) -> str:
    """`10 %` or `5.00`, for people."""
    return f"{plain(percent)} %" if percent is not None else f"{amount or 0:f}"
