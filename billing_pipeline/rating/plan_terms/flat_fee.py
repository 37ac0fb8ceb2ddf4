"""Flat fees: an amount per usage period, whatever is used, in advance or in arrears."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal, cast, get_args

from billing_pipeline.rating.charge_models.price import Part, Priced
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.money import (
    UNIT_PRICE_FRACTION_DIGITS,
    UNIT_PRICE_INTEGER_DIGITS,
    plain,
    shown_ratio,
    times,
)

Payment = Literal["in_advance", "in_arrears"]
PERIOD = "period"
"""The unit of a flat fee."""


@dataclass(frozen=True)
class FlatFee:
    """An amount (major units) per usage period.

    Attributes:
        pay: `in_arrears` is on the invoice of the period, `in_advance` on the one before, where there is one.
        prorate: by the second, where the plan is in force for a part of the period.
    """

    name: str
    amount: Decimal
    pay: Payment = "in_arrears"
    prorate: bool = True
    description: str = ""

    def priced(self, share: Fraction, held: int = 1) -> Priced:
        """What is due for a share of the usage period, in one part whose quantity is that share.

        Args:
            share: of the period, times `held`.
            held: how many of an add-on are held, for a fee that is not prorated.
        """
        counted = share if self.prorate else Fraction(held)
        amount = times(self.amount, counted)
        text = f"{plain(self.amount)} per {PERIOD}"
        return Priced(amount, (Part("", shown_ratio(counted), text, Decimal(), amount),))


def read_flat_fee(field: Field, name: str, description: str) -> FlatFee:
    """`{model: flat_fee, amount, pay?, prorate?}`."""
    keys = field.mapping(required=("model", "amount"), optional=("pay", "prorate"))
    amount = keys["amount"].decimal(
        integer_digits=UNIT_PRICE_INTEGER_DIGITS, fraction_digits=UNIT_PRICE_FRACTION_DIGITS
    )
    pay = keys["pay"].choice(get_args(Payment)) if "pay" in keys else "in_arrears"
    prorate = keys["prorate"].choice(("true", "false")) != "false" if "prorate" in keys else True
    return FlatFee(name, amount or Decimal(), cast("Payment", pay), prorate, description)
