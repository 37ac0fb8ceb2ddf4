"""What an invoice line rests on, in a canonical form, so that its digest can be made again from tables."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from billing_pipeline.invoicing.lines.adjustment_reasons import Posting
from billing_pipeline.rating.charge_models.price import dimension_values
from billing_pipeline.rating.charges import LineKey, MeteredQuantity
from billing_pipeline.rating.holdings import Holdings
from billing_pipeline.rating.money import EXACT, plain

_Group = tuple[str, str, str]
_Posted = tuple[str, str, str, str, date]


class _DaySum(NamedTuple):
    """What a usage day comes to, and whether any of it was posted on the day itself."""

    quantity: Decimal
    event_count: int
    on_its_day: bool


_DaySums = dict[date, _DaySum]
_NOTHING = _DaySum(Decimal(), 0, on_its_day=False)


class Evidence(NamedTuple):
    """What a line rests on.

    Attributes:
        text: its days as canonical JSON; "" where nothing is left. The digest is taken from it.
        partitions: the posting days of its rollup rows, sorted, as a JSON list. No part of the digest: the same usage
            received otherwise is the same evidence.
    """

    text: str = ""
    partitions: str = "[]"


NO_USAGE = Evidence()


class UsageEvidence:
    """The quantities behind the lines of one customer's usage period.

    Args:
        quantities: of the period.
        holdings: what prices them.
        postings: of the customer's late usage and corrections, also of other periods.
    """

    def __init__(
        self, quantities: Iterable[MeteredQuantity], holdings: Holdings, postings: Iterable[Posting] = ()
    ) -> None:
        self._holdings = holdings
        self._groups: dict[_Group, dict[str, _DaySums]] = {}
        for row in quantities:
            group = self._groups.setdefault((row.project_id, row.meter, row.rule_version), {})
            sums = group.setdefault(row.dimensions, {})
            so_far = sums.get(row.usage_day, _NOTHING)
            sums[row.usage_day] = _DaySum(
                EXACT.add(so_far.quantity, row.quantity),
                so_far.event_count + row.event_count,
                so_far.on_its_day or row.first_posting_day == row.usage_day,
            )
        self._posted_later: dict[_Posted, list[str]] = {}
        for posting in postings:
            if posting.posting_day != posting.usage_day:
                rows = (
                    *(posting.project_id, posting.meter, posting.rule_version),
                    *(posting.dimensions, posting.usage_day),
                )
                self._posted_later.setdefault(rows, []).append(posting.posting_day.isoformat())

    def of(self, key: LineKey) -> Evidence:
        """What a line of usage rests on.

        Its text is `[["2026-10-03", "1500", 3], …]`: usage day, quantity, events, ordered by day. Where the price folds
        dimensions, it is a list of `[dimensions, days]` of all rows that the line stands for.
        """
        group = self._groups.get((key.project_id, key.meter, key.rule_version), {})
        own = group.get(key.dimensions)
        if own is not None:
            days = self._days(own, key, key.dimensions)
            text = _json(_as_text(days)) if own else ""
            return Evidence(text, self._partitions(key, {key.dimensions: days}))
        folded = {
            dimensions: self._days(sums, key, dimensions)
            for dimensions, sums in sorted(group.items())
            if dimension_values(key.dimensions).items() <= dimension_values(dimensions).items()
        }
        if not folded:
            return NO_USAGE
        text = _json([(dimensions, _as_text(days)) for dimensions, days in folded.items()])
        return Evidence(text, self._partitions(key, folded))

    def _days(self, sums: _DaySums, key: LineKey, dimensions: str) -> list[tuple[date, _DaySum]]:
        return [
            (day, found)
            for day, found in sorted(sums.items())
            if self._holdings.on(day).prices(key.plan, key.charge, key.term, dimensions)
        ]

    def _partitions(self, key: LineKey, rows: Mapping[str, Sequence[tuple[date, _DaySum]]]) -> str:
        found: set[str] = set()
        for dimensions, days in rows.items():
            found.update(day.isoformat() for day, sums in days if sums.on_its_day)
            if self._posted_later:
                group = (key.project_id, key.meter, key.rule_version, dimensions)
                for day, _ in days:
                    found.update(self._posted_later.get((*group, day), ()))
        return _json(sorted(found))


def _as_text(days: Iterable[tuple[date, _DaySum]]) -> list[tuple[str, str, int]]:
    return [(day.isoformat(), plain(found.quantity), found.event_count) for day, found in days]


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def digest(*texts: str) -> str:
    """SHA-256 (hex) of texts, kept apart from each other by JSON quoting."""
    return hashlib.sha256(json.dumps(texts, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
