"""Exact amounts within pricing: whole numbers of 10⁻²⁴ major units, the digits that invoices keep; else ratios.

A quantity is a whole number of 10⁻⁹ units, so quantity times price is exact, and nothing is rounded before the end.
"""

from decimal import Decimal
from fractions import Fraction

from billing_pipeline.rating.money import AMOUNT_SCALE

FINE_PER_NANO = 10 ** (AMOUNT_SCALE - 9)
QUANTITY_DIGITS = 9
QUANTITY_ONE = 10**QUANTITY_DIGITS
"""One unit, in the whole numbers that quantities are."""

_FINE = 10**AMOUNT_SCALE

Fine = int | Fraction
"""An amount in 10⁻²⁴ major units."""


def fine(amount: Decimal | Fraction) -> Fine:
    """An amount in major units, exactly."""
    return whole_or_ratio(Fraction(amount) * _FINE)


def whole_or_ratio(value: Fraction) -> Fine:
    """A whole number where it is one: those are several times faster."""
    return value.numerator if value.denominator == 1 else value


def nano_up(amount: Fine) -> int:
    """In nano-units, rounded up."""
    numerator, denominator = _ratio(amount)
    return -(-numerator // denominator)


def nano_nearest(amount: Fine) -> int:
    """In nano-units, rounded half away from zero; for amounts that are not negative."""
    numerator, denominator = _ratio(amount)
    return (2 * numerator + denominator) // (2 * denominator)


def _ratio(amount: Fine) -> tuple[int, int]:
    if isinstance(amount, int):
        return amount, FINE_PER_NANO
    return amount.numerator, amount.denominator * FINE_PER_NANO
