"""A line before it is priced: all metered quantities of one key."""

from decimal import Decimal
from typing import NamedTuple

from billing_pipeline.rating.money import EXACT


class Line(NamedTuple):
    """The sum of the metered quantities of one key; to a charge model it is a `PoolRow`."""

    rule_version: str
    dimensions: str
    project_id: str
    meter: str
    unit: str
    quantity: Decimal
    event_count: int

    def plus(self, other: "Line") -> "Line":
        """The line with the quantity of another one of the same key."""
        return self._replace(
            quantity=EXACT.add(self.quantity, other.quantity),
            event_count=self.event_count + other.event_count,
        )
