"""What an invoice line rests on, in a canonical form, so that its digest can be made again from tables."""

import hashlib
import json
from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from billing_pipeline.rating.charge_models.price import dimension_values
from billing_pipeline.rating.charges import LineKey, MeteredQuantity
from billing_pipeline.rating.holdings import Holdings
from billing_pipeline.rating.money import EXACT, plain

_Group = tuple[str, str, str]
_DaySums = dict[date, tuple[Decimal, int]]


class UsageEvidence:
    """The quantities behind the lines of one customer's usage period.

    Neither posting days nor offsets nor receipt times go in: the same usage received otherwise has the same evidence.
    """

    def __init__(self, quantities: Iterable[MeteredQuantity], holdings: Holdings) -> None:
        self._holdings = holdings
        self._groups: dict[_Group, dict[str, _DaySums]] = {}
        for row in quantities:
            group = self._groups.setdefault((row.project_id, row.meter, row.rule_version), {})
            sums = group.setdefault(row.dimensions, {})
            quantity, event_count = sums.get(row.usage_day, (Decimal(), 0))
            sums[row.usage_day] = (EXACT.add(quantity, row.quantity), event_count + row.event_count)

    def text(self, key: LineKey) -> str:
        """The days behind a line as canonical JSON text; "" where nothing is left.

        `[["2026-10-03", "1500", 3], …]`: usage day, quantity, events, ordered by day. Where the price folds
        dimensions, a list of `[dimensions, days]` of all rows that the line stands for.
        """
        group = self._groups.get((key.project_id, key.meter, key.rule_version), {})
        own = group.get(key.dimensions)
        if own is not None:
            return _json(self._days(own, key, key.dimensions)) if own else ""
        folded = [
            (dimensions, self._days(sums, key, dimensions))
            for dimensions, sums in sorted(group.items())
            if dimension_values(key.dimensions).items() <= dimension_values(dimensions).items()
        ]
        return _json(folded) if folded else ""

    def _days(self, sums: _DaySums, key: LineKey, dimensions: str) -> list[tuple[str, str, int]]:
        return [
            (day.isoformat(), plain(quantity), events)
            for day, (quantity, events) in sorted(sums.items())
            if self._holdings.on(day).prices(key.plan, key.charge, key.term, dimensions)
        ]


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def digest(*texts: str) -> str:
    """SHA-256 (hex) of texts, kept apart from each other by JSON quoting."""
    return hashlib.sha256(json.dumps(texts, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
