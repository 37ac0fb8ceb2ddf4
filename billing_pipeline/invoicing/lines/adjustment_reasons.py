"""Why a line key that was booked before has another amount now."""

from collections.abc import Collection, Iterable
from datetime import date
from typing import NamedTuple

from billing_pipeline.invoicing.lines.invoice_periods import BlockedPeriod, InvoicePeriod, answers_from
from billing_pipeline.rating.charge_models.price import dimension_values
from billing_pipeline.rating.charges import LineKey

OTHER_USAGE = "other_usage"
RERATING = "rerating"
BLOCKED_BEFORE = "blocked_before"
CREDIT_GIVEN_BACK = "credit_given_back"
_BY_KINDS = {
    frozenset({"late"}): "late_usage",
    frozenset({"correction"}): "correction",
    frozenset({"late", "correction"}): "late_usage_and_correction",
}


class Posting(NamedTuple):
    """That late usage or a correction of some line was posted; `kind` is that of its rollup row."""

    customer_id: str
    project_id: str
    meter: str
    dimensions: str
    rule_version: str
    usage_day: date
    posting_day: date
    kind: str


class AdjustmentReasons:
    """The reasons of one customer's invoice period."""

    def __init__(
        self,
        period: InvoicePeriod,
        blocked: Collection[BlockedPeriod],
        postings: Iterable[Posting],
        rerated: Collection[date],
    ) -> None:
        self._rerated = rerated
        self._blocked = frozenset(each.start for each in blocked)
        self._kinds: dict[tuple[date, str, str, str], dict[str, set[str]]] = {}
        first = answers_from(period.start, blocked)
        for posting in postings:
            if first <= posting.posting_day <= period.end:
                usage_period = period.usage_period(posting.usage_day)
                group = (usage_period, posting.project_id, posting.meter, posting.rule_version)
                self._kinds.setdefault(group, {}).setdefault(posting.dimensions, set()).add(posting.kind)

    def of(self, key: LineKey) -> str:
        """`rerating`, `late_usage`, `correction`, both, `blocked_before`, `credit_given_back` or `other_usage`.

        The last one is where nothing of the line's own has moved it; the one before, where the invoice of its
        period was held back.
        """
        if key.component == "credit":
            return CREDIT_GIVEN_BACK
        if key.usage_period in self._rerated:
            return RERATING
        group = self._kinds.get((key.usage_period, key.project_id, key.meter, key.rule_version), {})
        mine = dimension_values(key.dimensions).items()
        kinds: set[str] = set()
        for dimensions, posted in group.items():
            # A line whose price folds dimensions stands for several rows.
            if dimensions == key.dimensions or mine <= dimension_values(dimensions).items():
                kinds |= posted
        if not kinds and key.usage_period in self._blocked:
            return BLOCKED_BEFORE
        return _BY_KINDS.get(frozenset(kinds), OTHER_USAGE)
