"""Credits given back: what is less now for a period is what the grants that paid its invoice can get back."""

from datetime import date

from billing_pipeline.rating.charges import LineKey
from billing_pipeline.rating.plan_terms.credit import Due, draw


class Decreases:
    """What an invoice takes back of earlier usage periods in one currency (minor units), by period and charge.

    What a period has more of on one charge lowers what it takes back as a whole.
    """

    def __init__(self) -> None:
        self._by_period: dict[date, Due] = {}

    @property
    def periods(self) -> list[date]:
        """The corrected periods, the latest one first."""
        return sorted(self._by_period, reverse=True)

    def add(self, key: LineKey, amount_minor: int) -> None:
        """Count an adjustment; a decrease is below zero."""
        self._by_period.setdefault(key.usage_period, Due()).add(key.charge, -amount_minor)

    def draw(self, period: date, charges: frozenset[str], most_minor: int) -> int:
        """What a grant for some charges (empty: all) gets back of a period, at most so much; 0 or more.

        It is less by that for the next one.
        """
        return draw(self._by_period[period], charges, most_minor)
