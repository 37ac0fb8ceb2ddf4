"""What a customer holds on a usage day: the plan, whether on trial, add-ons, overrides; days alike share one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from billing_pipeline.rating.agreement import Agreement, Override
from billing_pipeline.rating.charges import TRIAL
from billing_pipeline.rating.rule_book import Plan, RuleBook, RuleBooks


@dataclass(frozen=True, eq=False)
class Holding:
    """What decides the prices of a day's usage.

    Attributes:
        plan: "" where none is in force.
        overrides: by plan or add-on what changes it, the one that counts last at the end.
    """

    plan: str
    in_trial: bool = False
    add_ons: tuple[str, ...] = ()
    overrides: Mapping[str, tuple[Override, ...]] = field(default_factory=dict)

    def prices(self, plan: str, charge: str, term: str) -> bool:
        """Whether a day's usage is priced by a charge of a plan or add-on under this term (see `LineKey`)."""
        if plan == self.plan and self.in_trial:
            return term == TRIAL
        if plan != self.plan and plan not in self.add_ons:
            return False
        by = [
            each.name
            for each in self.overrides.get(plan, ())
            if each.details.get("charge") == charge and ("price" in each.details or "rows" in each.details)
        ]
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
        free_until = self._rules.trial_until(agreement, plan)
        in_trial = free_until is not None and day < free_until
        add_ons = agreement.add_ons_on(day) if agreement.add_ons else ()
        overrides: dict[str, tuple[Override, ...]] = {}
        if agreement.overrides:
            for name in (plan, *add_ons):
                if held := agreement.overrides_on(name, day):
                    overrides[name] = held
        names = tuple((name, tuple(each.name for each in held)) for name, held in overrides.items())
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
