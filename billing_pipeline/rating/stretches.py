"""The plans and add-ons of one customer's usage period, and the terms that hold through their stretches of it."""

from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from functools import cached_property

from billing_pipeline.rating.agreement import Agreement, Stretch
from billing_pipeline.rating.charge_models.price import Segment
from billing_pipeline.rating.holdings import Rules
from billing_pipeline.rating.periods import period_end
from billing_pipeline.rating.plan_terms.override import changes_period_terms
from billing_pipeline.rating.pool import Pool
from billing_pipeline.rating.rule_book import Plan

_WHOLE = Fraction(1)


class Stretches:
    """Made once per usage period; nothing is worked out before it is asked for."""

    def __init__(self, agreement: Agreement, usage_period: date, rules: Rules) -> None:
        self.agreement = agreement
        self.usage_period = usage_period
        self.rules = rules

    @property
    def have_terms(self) -> bool:
        """Whether anything but the usage's own price may be due. False is quick to tell."""
        agreement, known = self.agreement, self.rules.books.with_period_terms
        return bool(
            agreement.redemptions
            or agreement.add_ons
            or (known and not known.isdisjoint([each.name for each in agreement.assignments]))
            or any(changes_period_terms(each) for each in agreement.overrides)
        )

    def __iter__(self) -> Iterator[Stretch]:
        return iter(self._by_plan.values())

    def with_terms(self, segment: Segment, pool: Pool) -> Segment:
        """The segment with the plan's share of the period, and the charge's price at the stretch's start."""
        stretch = self._by_plan.get((pool.is_add_on, pool.plan))
        if stretch is None:
            return segment._replace(share=_WHOLE)
        plan = self.plan(stretch)
        charge = plan.charge(pool.charge) if plan else None
        opening = charge.price if charge else None
        return segment._replace(share=stretch.share, opening=opening, held=stretch.quantity)

    def plan(self, stretch: Stretch) -> Plan | None:
        """The plan or add-on by the version whose terms hold through a stretch; None where that has none."""
        found = self.rules.plan(stretch.plan, stretch.first_day, is_add_on=stretch.is_add_on)
        return found[1] if found else None

    @cached_property
    def _by_plan(self) -> dict[tuple[bool, str], Stretch]:
        agreement = self.agreement
        last = period_end(self.usage_period, agreement.anchor_day)
        found = agreement.stretches(
            self.usage_period, last, lambda plan: self.rules.trial_until(agreement, plan)
        )
        return {(each.is_add_on, each.plan): each for each in found}
