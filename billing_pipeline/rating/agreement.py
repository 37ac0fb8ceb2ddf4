"""What a customer agreed to, as known at one point of the log: plans, add-ons, overrides, coupons, credit grants.

Everything here takes effect at 00:00 UTC of a day. Only the closing of a customer may fall within one. What a later
change of the log says of the same thing and the same day replaces the earlier one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

from billing_pipeline.contract.registry import DEFAULT_ANCHOR_DAY
from billing_pipeline.rating.charge_models.price import dimension_values

ONE_DAY = timedelta(days=1)
DAY_SECONDS = 24 * 60 * 60
_ONE_SECOND = timedelta(seconds=1)


class Assignment(NamedTuple):
    """A plan or add-on from a day up to, and without, another one. `name` is "" where a plan was ended."""

    name: str
    start: date
    until: date | None = None
    trial_days: int | None = None
    """Instead of the plan's own; None leaves them."""
    quantity: int = 1
    """Of an add-on: how many times its flat fees are due."""

    def holds_on(self, day: date) -> bool:
        """Whether the day is within."""
        return self.start <= day and (self.until is None or day < self.until)


class Override(NamedTuple):
    """Terms agreed with one customer, or added to a plan for all, in place of the plan's own.

    Attributes:
        name: tells it from others; the `term` of the lines it prices.
        plan: the plan or add-on it changes; None is whichever plan the customer has, and no add-on.
        details: `charge` with `price` or `rows`; `discounts`, `minimums`, `maximums`; as in a rule book.
        is_own: agreed with this customer, not added to the plan for all.
    """

    name: str
    start: date
    until: date | None
    plan: str | None
    details: Mapping[str, Any]
    is_own: bool = True

    def holds_on(self, plan: str, day: date) -> bool:
        """Whether it changes the plan on a day."""
        return self.plan in {None, plan} and self.start <= day and (self.until is None or day < self.until)

    def prices(self, charge: str, dimensions: str) -> bool:
        """Whether it says what usage with these dimensions (canonical JSON text) costs under a charge.

        A `price` does for all of the charge's usage, `rows` for what they match.
        """
        if self.details.get("charge") != charge:
            return False
        if "price" in self.details:
            return True
        values = dimension_values(dimensions)
        return any(
            all(values.get(name) == str(value) for name, value in row.get("match", {}).items())
            for row in self.details.get("rows", ())
        )


class Redemption(NamedTuple):
    """A coupon that the customer has redeemed, by its name in the rule book in force on that day."""

    coupon: str
    start: date


class CreditGrant(NamedTuple):
    """Prepaid value. It pays invoices whose period ends while it is in force.

    Attributes:
        amount: major units of `currency`.
        priority: the lower, the sooner it is used.
        expires: the first day on which it is worth nothing any more; None is never.
        charges: names of the charges and fees it pays for; empty means all.
        voided_from: the first day on which it was taken back; None is never.
    """

    grant_id: str
    currency: str
    amount: Decimal
    start: date
    priority: int = 0
    expires: date | None = None
    charges: frozenset[str] = frozenset()
    voided_from: date | None = None


class Rerating(NamedTuple):
    """An explicit re-rating of a usage period: by contracts as known now and, where named, other rules.

    Attributes:
        usage_period: its start.
        rules: the rule version whose prices are used instead; None leaves each row its own.
    """

    usage_period: date
    rules: str | None
    who: str
    why: str
    queue_offset: int


class Stretch(NamedTuple):
    """A plan or add-on within one usage period.

    Attributes:
        first_day: the first day of the period on which it is in force; its version says the period's terms.
        share: of the period's seconds without free trial, times the quantity; 0 to 1 for a plan.
        quantity: the most held at once.
    """

    plan: str
    first_day: date
    share: Fraction
    quantity: int = 1
    is_add_on: bool = False


@dataclass(frozen=True)
class Agreement:
    """One customer's agreement. Of assignments that hold on a day, the one with the latest start counts."""

    customer_id: str
    assignments: tuple[Assignment, ...] = ()
    add_ons: tuple[Assignment, ...] = ()
    overrides: tuple[Override, ...] = ()
    redemptions: tuple[Redemption, ...] = ()
    grants: tuple[CreditGrant, ...] = ()
    reratings: tuple[Rerating, ...] = ()
    anchor_day: int = DEFAULT_ANCHOR_DAY
    closed_at: datetime | None = None

    def plan_on(self, day: date) -> str | None:
        """The plan in force on a UTC day, or None."""
        assignment = self.assignment_on(day)
        return (assignment.name or None) if assignment else None

    def add_ons_on(self, day: date) -> tuple[str, ...]:
        """The add-ons in force on a UTC day, by name."""
        return tuple(each.name for each in self.add_on_assignments_on(day))

    def assignment_on(self, day: date) -> Assignment | None:
        """What says the plan in force on a UTC day: none, or an end, whose name is ""."""
        found = None
        for each in self.assignments:  # ordered by start, then by offset
            if each.holds_on(day):
                found = each
        return found

    def add_on_assignments_on(self, day: date) -> list[Assignment]:
        """The add-ons in force on a UTC day with their quantities, by name."""
        found = {each.name: each for each in self.add_ons if each.holds_on(day)}
        return [each for _, each in sorted(found.items()) if each.quantity]

    def trial_until(self, plan: str, trial_days: int) -> date | None:
        """The first day after the free trial of a plan; None where it has none.

        A trial starts on the first day on which the customer ever has the plan, and does not start again.

        Args:
            plan: its name.
            trial_days: what the rule book says.
        """
        first = self._first.get(plan)
        if first is None:
            return None
        days = trial_days if first.trial_days is None else first.trial_days
        return first.start + timedelta(days=days) if days else None

    def first_day_of(self, plan: str) -> date | None:
        """The first day on which the customer ever has a plan; its version says how long a trial is."""
        first = self._first.get(plan)
        return first.start if first else None

    def rerating_of(self, usage_period: date) -> Rerating | None:
        """The re-rating of a usage period (its start) that counts: the last one."""
        found = [each for each in self.reratings if each.usage_period == usage_period]
        return found[-1] if found else None

    def overrides_on(self, plan: str, day: date) -> tuple[Override, ...]:
        """What changes a plan on a day, the one that counts last at the end.

        Of those with one name, added to the plan or agreed with the customer, the one with the latest start counts.
        """
        found: dict[tuple[bool, str], Override] = {}
        for each in self.overrides:  # the plan's before the customer's; each ordered by start, then by offset
            if each.holds_on(plan, day) and (each.plan or plan not in self._add_on_names):
                found.pop((each.is_own, each.name), None)
                found[each.is_own, each.name] = each
        return tuple(found.values())

    def stretches(
        self, first: date, last: date, trial_until: Callable[[str], date | None]
    ) -> tuple[Stretch, ...]:
        """The plans and add-ons in force in the days of a usage period, by name.

        Args:
            first: the period's first day.
            last: its last day.
            trial_until: the first day after a plan's free trial.
        """
        after = last + ONE_DAY
        limits = [day for each in (*self.assignments, *self.add_ons) for day in (each.start, each.until)]
        cuts = [*sorted({first, *(day for day in limits if day and first < day < after)}), after]
        found: dict[tuple[bool, str], Stretch] = {}
        for cut, following in pairwise(cuts):
            plan = self.assignment_on(cut)
            due = [(False, plan)] if plan and plan.name else []
            for is_add_on, each in [*due, *((True, each) for each in self.add_on_assignments_on(cut))]:
                free = None if is_add_on else trial_until(each.name)
                seconds = self._seconds(cut, following)
                if not seconds:
                    continue
                paid = self._seconds(max(cut, min(free, following)) if free else cut, following)
                share = Fraction(paid * each.quantity, (after - first).days * DAY_SECONDS)
                known = found.get((is_add_on, each.name))
                found[is_add_on, each.name] = (
                    Stretch(each.name, cut, share, each.quantity, is_add_on)
                    if known is None
                    else known._replace(
                        share=known.share + share, quantity=max(known.quantity, each.quantity)
                    )
                )
        return tuple(found[key] for key in sorted(found))

    def _seconds(self, start: date, until: date) -> int:
        """From 00:00 of a day to 00:00 of another one, or to the closing where that is sooner."""
        begin, end = midnight(start), midnight(until)
        if self.closed_at is not None:
            end = min(end, self.closed_at)
        return max(0, (end - begin) // _ONE_SECOND)

    @cached_property
    def _add_on_names(self) -> frozenset[str]:
        return frozenset(each.name for each in self.add_ons)  # no plan has the name of an add-on

    @cached_property
    def _first(self) -> Mapping[str, Assignment]:
        first: dict[str, Assignment] = {}
        for each in self.assignments:
            first.setdefault(each.name, each)
        return first


def midnight(day: date) -> datetime:
    """00:00 UTC of a day."""
    return datetime.combine(day, time(), tzinfo=UTC)
