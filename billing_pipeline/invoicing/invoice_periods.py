"""Whose invoice period ends on a day, and which usage periods that invoice has to rate."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from billing_pipeline.contract.registry import Registry
from billing_pipeline.rating.periods import is_period_end, period_end, period_start


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

    def end_of(self, usage_period: date) -> date:
        """The last day of a usage period: what was known at its close decides its plan."""
        return period_end(usage_period, self.anchor_day)


def customers_ending(registry: Registry, day: date) -> list[str]:
    """The customers whose invoice period ends with this posting day, sorted."""
    return [
        customer_id
        for customer_id in registry.known_customers()
        if is_period_end(day, registry.anchor_day(customer_id))
    ]


def invoice_periods(
    registry: Registry,
    day: date,
    postings: Iterable[tuple[str, date, date]],
    unsettled: Iterable[tuple[str, date]],
) -> list[InvoicePeriod]:
    """The invoice periods that end on a day and have anything to rate, by customer.

    Args:
        registry: as known at the day's close.
        day: the posting day.
        postings: (customer, posting day, usage day) of what was posted around the period.
        unsettled: (customer, usage period) of earlier usage that was never rated, because it was blocked.
    """
    starts = {
        customer_id: period_start(day, registry.anchor_day(customer_id))
        for customer_id in customers_ending(registry, day)
    }
    touched: dict[str, set[date]] = {}
    for customer_id, posting_day, usage_day in postings:
        start = starts.get(customer_id)
        if start is not None and start <= posting_day <= day:
            touched.setdefault(customer_id, set()).add(
                period_start(usage_day, registry.anchor_day(customer_id))
            )
    for customer_id, usage_period in unsettled:
        if customer_id in starts:
            touched.setdefault(customer_id, set()).add(usage_period)
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
