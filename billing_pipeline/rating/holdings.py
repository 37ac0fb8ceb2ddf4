"""What a customer holds on a usage day: the plan, whether on trial, add-ons, overrides; days alike share one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

from billing_pipeline.rating.agreement import Agreement, Override
from billing_pipeline.rating.charges import TRIAL
from billing_pipeline.rating.rule_book import Plan, RuleBook, RuleBooks

if TYPE_CHECKING:
    from billing_pipeline.rating.takers import Taken


@dataclass(frozen=True, eq=False)
class Holding:
    """What decides the prices of a day's usage.

    Attributes:
        plan: "" where none is in force.
        overrides: by plan or add-on what changes it, the one that counts last at the end.
        is_plain: it is just a plan, and the same object for all customers of one `Rules`.
    """

    plan: str
    in_trial: bool = False
    add_ons: tuple[str, ...] = ()
    overrides: Mapping[str, tuple[Override, ...]] = field(default_factory=dict)
    is_plain: bool = False

    @cached_property
    def is_by_dimensions(self) -> bool:
        """Whether an override prices some dimensions only."""
        return any("rows" in each.details for held in self.overrides.values() for each in held)

    def prices(self, plan: str, charge: str, term: str, dimensions: str) -> bool:
        """Whether a day's usage with these dimensions is priced by a charge under this term (see `LineKey`)."""
        if plan == self.plan and self.in_trial:
            return term == TRIAL
        if plan != self.plan and plan not in self.add_ons:
            return False
        by = [each.name for each in self.overrides.get(plan, ()) if each.prices(charge, dimensions)]
        return term == (by[-1] if by else "")


class Holdings:
    """One customer's holdings, by day."""

    def __init__(self, agreement: Agreement, rules: "Rules") -> None:
        self._agreement = agreement
        self._rules = rules
        self._by_day: dict[date, Holding] = {}
        self._known: dict[tuple[object, ...], Holding] = {}

    def on(self, day: date) -> Holding:
        """What holds on a UTC day; the same object for days on which the same holds."""
        found = self._by_day.get(day)
        if found is None:
            found = self._by_day[day] = self._make(day)
        return found

    def _make(self, day: date) -> Holding:
        agreement = self._agreement
        plan = agreement.plan_on(day) or ""
        if not (agreement.add_ons or agreement.overrides or self._rules.may_have_trial(agreement, plan)):
            return self._rules.plain_holding(plan)
        free_until = self._rules.trial_until(agreement, plan)
        in_trial = free_until is not None and day < free_until
        add_ons = agreement.add_ons_on(day) if agreement.add_ons else ()
        overrides: dict[str, tuple[Override, ...]] = {}
        if agreement.overrides:
            for name in (plan, *add_ons):
                if held := agreement.overrides_on(name, day):
                    overrides[name] = held
        names = tuple(
            (name, tuple((each.name, each.start, each.is_own) for each in held))
            for name, held in overrides.items()
        )
        return self._known.setdefault(
            (plan, in_trial, add_ons, names), Holding(plan, in_trial, add_ons, overrides)
        )


@dataclass(frozen=True)
class Rules:
    """The rule books a usage period is priced by.

    Attributes:
        priced_by: the version whose prices are used for all usage, whatever it was metered under; None leaves each
            row its own. What a re-rating or a simulation sets.
    """

    books: RuleBooks
    priced_by: str | None = None

    @cached_property
    def takers(self) -> dict[tuple[str, str, Holding, str], "Taken"]:
        """What `taken` has found for holdings that many customers share."""
        return {}

    def plain_holding(self, plan: str) -> Holding:
        """The holding of everybody who has just a plan: one object, so that what it takes is found once."""
        found = self._plain.get(plan)
        if found is None:
            found = self._plain[plan] = Holding(plan, is_plain=True)
        return found

    @cached_property
    def _plain(self) -> dict[str, Holding]:
        return {}

    def may_have_trial(self, agreement: Agreement, plan: str) -> bool:
        """Whether a free trial has to be looked for; False is quick to tell."""
        return plan in self.books.with_trials or any(each.trial_days for each in agreement.assignments)

    def book(self, version: str) -> RuleBook | None:
        """The book that prices usage metered under a version, or None where there is none."""
        return self.books.get(self.priced_by or version)

    def opening_book(self, first_day: date) -> RuleBook | None:
        """The book whose terms hold for a plan's whole stretch of a period, from its first day."""
        if self.priced_by:
            return self.books.get(self.priced_by)
        return self.books.in_force_on(first_day)

    def plan(self, name: str, first_day: date, *, is_add_on: bool = False) -> tuple[RuleBook, Plan] | None:
        """A plan or add-on with the book that says its terms for a stretch, or None where that has none."""
        book = self.opening_book(first_day)
        plan = (book.add_ons if is_add_on else book.plans).get(name) if book else None
        return (book, plan) if book and plan else None

    def trial_until(self, agreement: Agreement, plan: str) -> date | None:
        """The first day after the free trial of a plan: as long as its version said when the customer began with it."""
        first = agreement.first_day_of(plan)
        if first is None:
            return None
        found = self.plan(plan, first)
        return agreement.trial_until(plan, found[1].trial_days if found else 0)
