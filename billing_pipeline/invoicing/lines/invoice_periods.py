"""Whose invoice period ends on a day, and which usage periods that invoice has to rate.

An invoice that was blocked has booked nothing of what was posted in its period: the customer's next invoice answers
for that too, until one is made.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from billing_pipeline.contract.registry import Registry
from billing_pipeline.rating.periods import is_period_end, period_start

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class InvoicePeriod:
    """One customer's invoice period. `usage_periods` (their starts) are the ones it rates, oldest first."""

    customer_id: str
    anchor_day: int
    start: date
    end: date
    usage_periods: tuple[date, ...]

    def usage_period(self, usage_day: date) -> date:
        """The usage period of a usage day; its name."""
        return period_start(usage_day, self.anchor_day)


class BlockedPeriod(NamedTuple):
    """An invoice period that was blocked: first and last posting day."""

    start: date
    end: date


def customers_ending(registry: Registry, day: date) -> list[str]:
    """The customers whose invoice period ends with this posting day, sorted."""
    return [
        customer_id
        for customer_id in registry.known_customers()
        if is_period_end(day, registry.anchor_day(customer_id))
    ]


def answers_from(start: date, blocked: Iterable[BlockedPeriod]) -> date:
    """The first posting day an invoice answers for: its period's, or that of the blocked ones right before it."""
    for period in sorted(blocked, reverse=True):
        if period.end >= start - ONE_DAY:
            start = min(start, period.start)
    return start


def invoice_periods(
    registry: Registry,
    day: date,
    postings: Iterable[tuple[str, date, date]],
    blocked: Mapping[str, Collection[BlockedPeriod]],
    owed: Mapping[str, Collection[date]],
) -> list[InvoicePeriod]:
    """The invoice periods that end on a day and have anything to rate, by customer.

    Args:
        registry: as known at the day's close.
        day: the posting day.
        postings: (customer, posting day, usage day) of what was posted, from the first day answered for on.
        blocked: by customer the earlier invoice periods that were blocked.
        owed: by customer the usage periods that are rated without any postings: for fees, or because of a re-rating.
    """
    starts = {
        customer_id: period_start(day, registry.anchor_day(customer_id))
        for customer_id in customers_ending(registry, day)
    }
    answered = {
        customer_id: answers_from(start, blocked.get(customer_id, ()))
        for customer_id, start in starts.items()
    }
    touched = {customer_id: set(periods) for customer_id, periods in owed.items() if periods}
    for customer_id, posting_day, usage_day in postings:
        if customer_id in answered and answered[customer_id] <= posting_day <= day:
            touched.setdefault(customer_id, set()).add(
                period_start(usage_day, registry.anchor_day(customer_id))
            )
    return [
        InvoicePeriod(
            customer_id=customer_id,
            anchor_day=registry.anchor_day(customer_id),
            start=starts[customer_id],
            end=day,
            usage_periods=tuple(sorted(periods)),
        )
        for customer_id, periods in sorted(touched.items())
    ]
