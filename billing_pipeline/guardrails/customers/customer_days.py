"""What customers hold by day under one registry: plan, trial, add-ons, overrides, billing period.

One question for the guard's terms and its prices, answered by the code that rates invoices. Instants are UTC µs.
"""

from bisect import bisect_right
from datetime import timedelta
from typing import NamedTuple

from billing_pipeline.contract.instants import EPOCH, datetime_of, microseconds_of
from billing_pipeline.contract.registry import Registry
from billing_pipeline.guardrails.terms import NoTerms
from billing_pipeline.rating.agreement import Agreement, midnight
from billing_pipeline.rating.holdings import Holding, Holdings, Rules
from billing_pipeline.rating.periods import next_period, period_start
from billing_pipeline.rating.registered_agreement import agreement_of
from billing_pipeline.rating.rule_book import Plan, RuleBook

DAY_US = 86_400_000_000
DAYS_MOST = 200_000
"""Of all customers, kept at once."""


class CustomerDay(NamedTuple):
    """What a customer holds from an instant up to, and without, another one of the same UTC day.

    Attributes:
        book: the rule book in force.
        plan: the customer's plan by that book.
        holding: plan, trial, add-ons and overrides, as the invoice takes them.
        period_starts_at: of the billing period that holds the day.
    """

    starts_at: int
    ends_at: int
    book: RuleBook
    plan: Plan
    holding: Holding
    period_starts_at: int
    period_ends_at: int


class CustomerDays:
    """All customers as one registry has them. Safe from several threads; a changed registry needs another object."""

    def __init__(self, registry: Registry, rules: Rules) -> None:
        self.registry = registry
        self._rules = rules
        self._book_starts = [microseconds_of(book.effective_from) for book in rules.books]
        self._agreements: dict[str, tuple[Agreement, Holdings]] = {}
        self._days: dict[tuple[str, int], CustomerDay] = {}

    def on(self, customer_id: str, at_us: int) -> CustomerDay | NoTerms:
        """What a customer holds at an instant, or why nothing may be held for it."""
        key = (customer_id, at_us // DAY_US)
        found = self._days.get(key)
        if found is not None and found.starts_at <= at_us < found.ends_at:
            return found
        made = self._make(customer_id, at_us)
        if isinstance(made, CustomerDay):
            if len(self._days) >= DAYS_MOST:
                self._days.clear()
            self._days[key] = made
        return made

    def _make(self, customer_id: str, at_us: int) -> CustomerDay | NoTerms:
        if self.registry.customer(customer_id) is None:
            return NoTerms("unknown_customer", f"customer {customer_id} is not registered")
        agreement, _ = self._agreement(customer_id)
        starts_at = at_us - at_us % DAY_US
        ends_at = starts_at + DAY_US
        if agreement.closed_at is not None:
            closed_us = microseconds_of(agreement.closed_at)
            if closed_us <= at_us:
                return NoTerms(
                    "unknown_customer",
                    f"customer {customer_id} is closed since {agreement.closed_at:%Y-%m-%dT%H:%M:%SZ}",
                )
            ends_at = min(ends_at, closed_us)
        begun = bisect_right(self._book_starts, at_us)
        starts_at = max([starts_at, *self._book_starts[:begun][-1:]])
        ends_at = min([ends_at, *self._book_starts[begun:][:1]])
        return self._held(customer_id, at_us, starts_at, ends_at)

    def _held(self, customer_id: str, at_us: int, starts_at: int, ends_at: int) -> CustomerDay | NoTerms:
        agreement, holdings = self._agreement(customer_id)
        day = EPOCH.date() + timedelta(days=at_us // DAY_US)
        holding = holdings.on(day)
        if not holding.plan:
            return NoTerms("unknown_customer", f"customer {customer_id} has no plan on {day}; assign one")
        book = self._rules.books.in_force(datetime_of(at_us))
        plan = book.plans.get(holding.plan) if book else None
        if book is None or plan is None:
            version = f"rule book {book.version}" if book else "a rule book in force"
            return NoTerms(
                "unknown_customer",
                f"customer {customer_id} has the plan {holding.plan}, which is not in {version}; assign another",
            )
        return CustomerDay(
            starts_at=starts_at,
            ends_at=ends_at,
            book=book,
            plan=plan,
            holding=holding,
            period_starts_at=microseconds_of(midnight(period_start(day, agreement.anchor_day))),
            period_ends_at=microseconds_of(midnight(next_period(day, agreement.anchor_day))),
        )

    def _agreement(self, customer_id: str) -> tuple[Agreement, Holdings]:
        found = self._agreements.get(customer_id)
        if found is None:
            agreement = agreement_of(self.registry, customer_id)
            found = self._agreements[customer_id] = agreement, Holdings(agreement, self._rules)
        return found
