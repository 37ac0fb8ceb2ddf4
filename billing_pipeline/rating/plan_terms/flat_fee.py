"""Flat fees: an amount per usage period, whatever is used, in advance or in arrears."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

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
