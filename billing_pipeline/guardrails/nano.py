"""Nano-units: money of the guard as 64-bit integers, 10⁻⁹ of a currency's major unit.

$0.10 per million tokens is exactly 100 of them for a token; a millionth would have to round it.
"""

from decimal import Decimal
from fractions import Fraction

from billing_pipeline.contract.decimals import plain

NANO = 10**9
"""Nano-units in a major unit of any currency."""

LARGEST_AMOUNT = 10**18
"""Of one hold or limit: a thousand million major units. Sums of nine of them still fit 64 bits."""

LARGEST_BALANCE = (1 << 63) - 1


def nano_up(amount: Decimal | Fraction) -> int:
    """An estimate (major units) in nano-units, rounded up: what is held is never too little."""
    exact = Fraction(amount) * NANO
    return -(-exact.numerator // exact.denominator)


def nano_nearest(amount: Decimal | Fraction) -> int:
    """An amount (major units) in nano-units, rounded half away from zero, as invoices are."""
    exact = Fraction(amount) * NANO
    whole = (2 * abs(exact.numerator) + exact.denominator) // (2 * exact.denominator)
    return whole if exact >= 0 else -whole


def major_of(nano: int) -> Decimal:
    """Nano-units in major units, exactly."""
    return Decimal(nano).scaleb(-9)


def nano_words(nano: int, currency: str) -> str:
    """For people: `1.50 USD`, with as many digits as it takes and at least two."""
    text = plain(major_of(nano))
    whole, _, digits = text.partition(".")
    return f"{whole}.{digits.ljust(2, '0')} {currency.upper()}"
