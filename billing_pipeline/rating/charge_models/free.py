"""What costs nothing on purpose: usage in a free trial. No rule book names it."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from billing_pipeline.rating.charge_models.price import NoPrice, Part, Price, Priced, Segment

_ZERO = Decimal()


@dataclass(frozen=True)
class Free(Price):
    """Every row costs nothing, and its line says why."""

    reason: str

    def rate(self, segment: Segment) -> Sequence[Priced | NoPrice]:
        """0 for each row."""
        return [Priced(_ZERO, (Part("", row.quantity, self.reason, _ZERO, _ZERO),)) for row in segment.rows]

    def describe(self) -> str:
        """The reason."""
        return self.reason


FREE_TRIAL = Free("0 in the free trial")
