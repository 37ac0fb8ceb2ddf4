"""Commitments: the least (minimum) and the most (maximum) that some charges of a plan cost in a usage period."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Minimum:
    """The true-up to `amount` (major units per usage period) is a line of the period's last invoice.

    Attributes:
        applies_to: names of charges and flat fees; empty means all of the plan.
        prorate: a plan in force for a part of the period owes that part of the minimum.
    """

    name: str
    amount: Decimal
    applies_to: frozenset[str] = frozenset()
    prorate: bool = True
    description: str = ""


@dataclass(frozen=True)
class Maximum:
    """What is above `amount` (major units per usage period) is taken off again by a line.

    Attributes:
        applies_to: names of charges and flat fees; empty means all of the plan.
        prorate: a plan in force for a part of the period is capped at that part of the maximum.
    """

    name: str
    amount: Decimal
    applies_to: frozenset[str] = frozenset()
    prorate: bool = False
    description: str = ""
