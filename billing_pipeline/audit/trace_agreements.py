"""Which usage an invoice line prices, by what was known when its usage period was rated.

The question is asked as rating asks it: what the customer held on the usage day, which charges that lets take the
meter, under which term, and which dimensions their prices fold.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date

from billing_pipeline.audit.trace_rows import LineRow, RollupRow
from billing_pipeline.invoicing.lines.evidence import UsageEvidence
from billing_pipeline.invoicing.lines.rating_inputs import rated_before
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.calendar import days_between
from billing_pipeline.metering.registry_relations import registry_until
from billing_pipeline.metering.stage import Workshop
from billing_pipeline.rating.adjustments import UsagePeriod
from billing_pipeline.rating.agreement import Agreement, Override
from billing_pipeline.rating.charge_models.price import dimension_values
from billing_pipeline.rating.charges import MeteredQuantity
from billing_pipeline.rating.folding import without
from billing_pipeline.rating.holdings import Holding, Holdings, Rules
from billing_pipeline.rating.periods import period_start
from billing_pipeline.rating.registered_agreement import agreement_of
from billing_pipeline.rating.takers import Taken, Taker, taken

PeriodKey = tuple[str, date, date]
"""Customer, start of the usage period, the day whose knowledge rates it."""


class Agreements:
    """Customers' agreements as known when their usage periods were rated; each is read once."""

    def __init__(self, workshop: Workshop, session: Session) -> None:
        self._workshop = workshop
        self._session = session
        self._agreements: dict[tuple[str, date], Agreement] = {}
        self._periods: dict[PeriodKey, tuple[Rules, Holdings]] = {}
        self._taken: dict[tuple[PeriodKey, str, str, Holding, str], Taken] = {}
        self._rules = Rules(workshop.books)
        self._rated: Mapping[str, Mapping[date, date]] | None = None

    def prices(self, line: LineRow, row: RollupRow) -> bool:
        """Whether a line bills the quantity of a rollup row: its key, usage period and term, posted by its end."""
        if (line.customer_id, line.project_id, line.meter, line.unit, line.rule_version) != (
            *(row.customer_id, row.project_id, row.meter, row.unit, row.rule_version),
        ):
            return False
        if row.posting_day > line.period_end_day or not _may_fold(row.dimensions, line.dimensions):
            return False
        return any(
            without(row.dimensions, each.price.folded) == line.dimensions
            if each.price.folded
            else _same(line, row)
            for each in self._takers(line, row.usage_day, row.dimensions)
        )

    def folds(self, line: LineRow) -> bool:
        """Whether a line may stand for rows of several dimensions."""
        days = days_between(line.usage_period, line.period_end_day)
        return any(each.price.folded for day in days for each in self._takers(line, day, line.dimensions))

    def evidence(self, line: LineRow, quantities: Iterable[MeteredQuantity]) -> str:
        """What a line's quantity rests on, in the canonical form that its digest is over.

        Args:
            line: a line of usage.
            quantities: what was metered of its project, meter and rule version, posted by its invoice period's end;
                usage days of other usage periods are left out here.
        """
        _, holdings = self._period((line.customer_id, line.usage_period, line.rated_as_of))
        own = [
            each
            for each in quantities
            if self._usage_period(line.customer_id, each.usage_day, line.rated_as_of) == line.usage_period
        ]
        return UsageEvidence(own, holdings).of(line.key).text

    def override(self, line: LineRow) -> Override | None:
        """The contract override that priced the line, or None."""
        if not line.term:
            return None
        agreement = self._agreement(line.customer_id, line.rated_as_of)
        return next((each for each in agreement.overrides if each.name == line.term), None)

    def free_under(self, customer_id: str, usage_day: date, meter: str, rule_version: str) -> str | None:
        """The plan that leaves a meter free on purpose on a usage day, or None."""
        start = self._usage_period(customer_id, usage_day, date.max)
        if self._rated is None:
            self._rated = rated_before(self._workshop, self._session, date.max)
        known = self._rated.get(customer_id, {}).get(start, date.max)
        rules, holdings = self._period((customer_id, start, known))
        book, name = rules.book(rule_version), holdings.on(usage_day).plan
        plan = book.plans.get(name) if book else None
        return name if plan is not None and meter in plan.not_charged else None

    def _takers(self, line: LineRow, usage_day: date, dimensions: str) -> Iterator[Taker]:
        """The charges behind the line that take its meter's usage with these dimensions on a usage day."""
        key = (line.customer_id, line.usage_period, line.rated_as_of)
        if self._usage_period(line.customer_id, usage_day, line.rated_as_of) != line.usage_period:
            return
        rules, holdings = self._period(key)
        holding = holdings.on(usage_day)
        by = dimensions if holding.is_by_dimensions else ""
        wanted = (key, line.rule_version, line.meter, holding, by)
        found = self._taken.get(wanted)
        if found is None:
            found = self._taken[wanted] = taken(rules, *wanted[1:])
        for each in found.takers:
            if (each.plan, each.charge, each.term, each.currency) == (
                *(line.plan, line.charge, line.term, line.currency),
            ):
                yield each

    def _usage_period(self, customer_id: str, usage_day: date, known: date) -> date:
        return period_start(usage_day, self._agreement(customer_id, known).anchor_day)

    def _period(self, key: PeriodKey) -> tuple[Rules, Holdings]:
        found = self._periods.get(key)
        if found is None:
            customer_id, start, known = key
            agreement = self._agreement(customer_id, known)
            rules = UsagePeriod(start, agreement).priced_by(self._rules)
            found = self._periods[key] = rules, Holdings(agreement, rules)
        return found

    def _agreement(self, customer_id: str, known: date) -> Agreement:
        found = self._agreements.get((customer_id, known))
        if found is None:
            registry = registry_until(self._workshop, self._session, known)
            found = self._agreements[customer_id, known] = agreement_of(registry, customer_id)
        return found


class LinesByMeter:
    """Lines of usage, so that those that may bill a rollup row are found at once."""

    def __init__(self, lines: Iterable[LineRow]) -> None:
        self._lines: dict[tuple[str, ...], dict[str, list[LineRow]]] = {}
        for line in lines:
            key = (line.customer_id, line.project_id, line.meter, line.unit, line.rule_version)
            self._lines.setdefault(key, {}).setdefault(line.dimensions, []).append(line)

    def near(self, row: RollupRow) -> Iterator[LineRow]:
        """Lines of the row's meter and version whose dimensions are its own, or some of them."""
        key = (row.customer_id, row.project_id, row.meter, row.unit, row.rule_version)
        for dimensions, lines in self._lines.get(key, {}).items():
            if _may_fold(row.dimensions, dimensions):
                yield from lines


def _same(line: LineRow, row: RollupRow) -> bool:
    return line.dimensions == row.dimensions


def _may_fold(dimensions: str, folded: str) -> bool:
    return folded == dimensions or dimension_values(folded).items() <= dimension_values(dimensions).items()
