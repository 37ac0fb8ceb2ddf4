"""Flat fees: an amount per usage period, whatever is used, in advance or in arrears."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, cast, get_args

from billing_pipeline.rating.document import Field
from billing_pipeline.rating.money import UNIT_PRICE_FRACTION_DIGITS, UNIT_PRICE_INTEGER_DIGITS

Payment = Literal["in_advance", "in_arrears"]


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


def read_flat_fee(field: Field, name: str, description: str) -> FlatFee:
    """`{model: flat_fee, amount, pay?, prorate?}`."""
    keys = field.mapping(required=("model", "amount"), optional=("pay", "prorate"))
    amount = keys["amount"].decimal(
        integer_digits=UNIT_PRICE_INTEGER_DIGITS, fraction_digits=UNIT_PRICE_FRACTION_DIGITS
    )
    pay = keys["pay"].choice(get_args(Payment)) if "pay" in keys else "in_arrears"
    prorate = keys["prorate"].choice(("true", "false")) != "false" if "prorate" in keys else True
    return FlatFee(name, amount or Decimal(), cast("Payment", pay), prorate, description)
