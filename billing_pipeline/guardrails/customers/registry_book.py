"""The terms of customers by the registry, the rule books and the policies: what the ledger asks for every reserve."""

from typing import Protocol

from billing_pipeline.contract.instants import microseconds_of
from billing_pipeline.guardrails.customers.customer_days import DAY_US, CustomerDay, CustomerDays
from billing_pipeline.guardrails.policies.policy import Policies, Policy, WhenUnreachable
from billing_pipeline.guardrails.terms import NoTerms, Terms

KEPT_MOST = 200_000
"""Terms by customer, project and day, kept at once."""


class Customers(Protocol):
    """Where the customers are found; see `CurrentCustomers`."""

    @property
    def days(self) -> CustomerDays:
        """The customers as known now."""

    def look_again(self) -> None:
        """Somebody was not found."""


class _Known:
    """What was found under one registry."""

    def __init__(self, days: CustomerDays) -> None:
        self.days = days
        self.terms: dict[tuple[str, str, int], tuple[int, int, Terms]] = {}


class RegistryBook:
    """A `TermsBook`; waits for nothing, and asks for the customers to be read again where one is unknown.

    Customers of one plan and billing period share one `Terms` object.
    """

    def __init__(self, customers: Customers, policies: Policies) -> None:
        self._customers = customers
        self._policies = policies
        self._known = _Known(customers.days)
        self._shared: dict[tuple[str, bool, int, int], Terms] = {}

    def terms(self, customer_id: str, project_id: str, at_us: int) -> Terms | NoTerms:
        """See `TermsBook`."""
        known = self._known
        if known.days is not self._customers.days:
            known = self._known = _Known(self._customers.days)
        key = (customer_id, project_id, at_us // DAY_US)
        kept = known.terms.get(key)
        if kept is not None and kept[0] <= at_us < kept[1]:
            return kept[2]
        found = self._find(known.days, customer_id, project_id, at_us)
        if isinstance(found, NoTerms):
            self._customers.look_again()
            return found
        if len(known.terms) >= KEPT_MOST:
            known.terms.clear()
        known.terms[key] = found
        return found[2]

    def when_unreachable(self, customer_id: str, at_us: int) -> WhenUnreachable:
        """What a client does while the ledger cannot be asked; `closed` for whom nothing may be held."""
        day = self._customers.days.on(customer_id, at_us)
        return "closed" if isinstance(day, NoTerms) else self._policy(day).when_unreachable

    def _find(
        self, days: CustomerDays, customer_id: str, project_id: str, at_us: int
    ) -> tuple[int, int, Terms] | NoTerms:
        day = days.on(customer_id, at_us)
        if isinstance(day, NoTerms):
            return day
        what = f"project {project_id} of customer {customer_id}"
        if not days.registry.has_project(customer_id, project_id):
            return NoTerms("unknown_project", f"{what} is not registered")
        closed_at = days.registry.closed_at(customer_id, project_id)
        if closed_at is None:
            return day.starts_at, day.ends_at, self._terms(day)
        closed_us = microseconds_of(closed_at)
        if closed_us <= at_us:
            return NoTerms("unknown_project", f"{what} is closed since {closed_at:%Y-%m-%dT%H:%M:%SZ}")
        return day.starts_at, min(day.ends_at, closed_us), self._terms(day)

    def _terms(self, day: CustomerDay) -> Terms:
        key = (day.plan.name, day.holding.in_trial, day.period_starts_at, day.period_ends_at)
        found = self._shared.get(key)
        if found is None:
            policy = self._policy(day)
            made = Terms(
                plan=day.plan.name,
                currency=day.plan.currency,
                needs_credit=policy.needs_credit,
                limits=policy.limits,
                breaker=policy.breaker,
                velocity=policy.velocity,
                ttl_seconds=policy.ttl_seconds,
                ttl_seconds_most=policy.ttl_seconds_most,
                overdraft_trips=policy.overdraft_trips,
                period_starts_at=day.period_starts_at,
                period_ends_at=day.period_ends_at,
            )
            found = self._shared.setdefault(key, made)
        return found

    def _policy(self, day: CustomerDay) -> Policy:
        return self._policies.by_plan[day.plan.name].on(in_trial=day.holding.in_trial)
