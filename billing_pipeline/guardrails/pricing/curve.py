"""What the first units of a period cost, F, as stretches that rise evenly; and the most that some more units can cost.

The values are the charge model's own, asked once at the ends of the stretches. Between them only whole numbers count:
positions are whole numbers of 10⁻⁹ units, so a fee that falls due right behind a bound is a stretch that begins there.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable

from billing_pipeline.guardrails.pricing.fine import Fine

KEPT_MOST = 10_000
"""Quantities whose answer is kept."""


class Curve:
    """F over whole numbers of 10⁻⁹ units, from 0 on; on each stretch it rises by the same for each of them."""

    def __init__(self, cost: Callable[[int], Fine], starts: Iterable[int]) -> None:
        """Ask the model.

        Args:
            cost: F; where it is asked it must answer exactly.
            starts: where stretches begin; what lies between two of them is even. 0 is one, asked or not.
        """
        self._starts = sorted({0, *starts})
        self._values = [cost(start) for start in self._starts]
        self._rises: list[Fine] = [
            cost(start + 1) - value if start + 1 not in self._starts else 0
            for start, value in zip(self._starts, self._values, strict=True)
        ]
        self._kept: dict[int, Fine] = {}

    def at(self, position: int) -> Fine:
        """F at a position."""
        place = bisect_right(self._starts, position) - 1
        return self._values[place] + self._rises[place] * (position - self._starts[place])

    def most(self, quantity: int) -> Fine:
        """The most that a quantity costs at any position: the largest F(p + quantity) - F(p).

        The difference is even between the positions at which p or p + quantity enters a stretch, so it is largest at
        one of these or right before it; behind the last of them it stays as it is.
        """
        found = self._kept.get(quantity)
        if found is None:
            enters = (position for start in self._starts for position in (start, start - quantity))
            positions = {position for enter in enters for position in (enter - 1, enter) if position >= 0}
            found = max(self.at(position + quantity) - self.at(position) for position in positions)
            if len(self._kept) >= KEPT_MOST:
                self._kept.clear()
            self._kept[quantity] = found
        return found
