"""What an invoice line rests on, in a canonical form, so that its digest can be made again from tables."""

import hashlib
import json
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from billing_pipeline.rating.charges import LineKey, MeteredQuantity
from billing_pipeline.rating.money import EXACT, plain
from billing_pipeline.rating.rate import PlanInForce

_DaySums = dict[date, tuple[Decimal, int]]


class EvidenceKey(NamedTuple):
    """Which quantities a line rests on: its line key without what the price adds."""

    customer_id: str
    project_id: str
    plan: str
    meter: str
    dimensions: str
    rule_version: str

    @classmethod
    def of(cls, key: LineKey) -> "EvidenceKey":
        """The evidence of a line key, within its usage period."""
        return cls(key.customer_id, key.project_id, key.plan, key.meter, key.dimensions, key.rule_version)


def usage_evidence(
    quantities: Iterable[MeteredQuantity], plan_in_force: PlanInForce
) -> dict[EvidenceKey, str]:
    """Per evidence key the quantities of one usage period as canonical JSON text, summed by usage day.

    `[["2026-10-03", "1500", 3], …]`: usage day, quantity, events, ordered by day. Neither posting days nor
    offsets nor receipt times go in, so the same usage received otherwise has the same evidence.
    """
    days: dict[EvidenceKey, _DaySums] = {}
    for row in quantities:
        plan = plan_in_force(row.usage_day) or ""
        key = EvidenceKey(row.customer_id, row.project_id, plan, row.meter, row.dimensions, row.rule_version)
        sums = days.setdefault(key, {})
        quantity, event_count = sums.get(row.usage_day, (Decimal(), 0))
        sums[row.usage_day] = (EXACT.add(quantity, row.quantity), event_count + row.event_count)
    return {
        key: json.dumps(
            [[day.isoformat(), plain(quantity), events] for day, (quantity, events) in sorted(sums.items())],
            separators=(",", ":"),
        )
        for key, sums in days.items()
    }


def digest(*texts: str) -> str:
    """SHA-256 (hex) of texts, kept apart from each other by JSON quoting."""
    return hashlib.sha256(json.dumps(texts, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
