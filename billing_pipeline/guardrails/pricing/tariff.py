"""What one kind of usage costs: all charges that take it, made into one sum where they are even."""

from dataclasses import dataclass

from billing_pipeline.guardrails.pricing.dearest import Bound, Even, Packages, Tiered
from billing_pipeline.guardrails.pricing.fine import QUANTITY_ONE, Fine


@dataclass(frozen=True, slots=True)
class Tariff:
    """An amount for each event, one for its quantity, and what charges come to that are not even.

    Attributes:
        event_estimate: the most that an event costs, whatever its quantity.
        event_actual: the same, without what falls due once for many.
        each: of 10⁻⁹ units.
        uneven: of charges whose price depends on the position in the period.
    """

    event_estimate: Fine = 0
    event_actual: Fine = 0
    each: Fine = 0
    uneven: tuple[Tiered | Packages, ...] = ()

    def estimate(self, quantity: int) -> Fine:
        """The most that an event with a quantity of 10⁻⁹ units can cost."""
        amount = self.event_estimate + self.each * quantity
        for bound in self.uneven:
            amount += bound.estimate(quantity)
        return amount

    def actual(self, quantity: int) -> Fine:
        """The same, without what falls due once for many."""
        amount = self.event_actual + self.each * quantity
        for bound in self.uneven:
            amount += bound.actual(quantity)
        return amount

    def plus(self, bound: Bound, *, by_event: bool) -> "Tariff":
        """With another charge.

        Args:
            bound: what it comes to.
            by_event: its meter counts events, so that to it any quantity is one unit.
        """
        if not isinstance(bound, Even):
            if not by_event:
                return Tariff(self.event_estimate, self.event_actual, self.each, (*self.uneven, bound))
            estimate, actual = bound.estimate(QUANTITY_ONE), bound.actual(QUANTITY_ONE)
        elif by_event:
            estimate = actual = bound.fixed + bound.each * QUANTITY_ONE
        else:
            estimate = actual = bound.fixed
        each = bound.each if isinstance(bound, Even) and not by_event else 0
        return Tariff(
            self.event_estimate + estimate, self.event_actual + actual, self.each + each, self.uneven
        )
