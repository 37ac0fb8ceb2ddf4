"""Percentages of an amount of money."""

from decimal import Decimal

from billing_pipeline.rating.document import Field
from billing_pipeline.rating.money import EXACT, plain

PERCENT_INTEGER_DIGITS = 4
"""Above 100 % is a price as well: cost and a margin."""
PERCENT_FRACTION_DIGITS = 9
"""With the 9 of a quantity and the 2 of the percentage that is less than the 24 of an amount."""


def read_percent(field: Field) -> Decimal:
    """A percentage >= 0."""
    percent = field.decimal(integer_digits=PERCENT_INTEGER_DIGITS, fraction_digits=PERCENT_FRACTION_DIGITS)
    return percent or Decimal()


def share_of(percent: Decimal) -> Decimal:
    """2.9 % as 0.029."""
    return percent.scaleb(-2, EXACT)


def percent_text(percent: Decimal) -> str:
    """`2.9 %`."""
    return f"{plain(percent)} %"
