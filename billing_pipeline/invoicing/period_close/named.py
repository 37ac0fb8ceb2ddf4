"""The invoice periods of a name: `2026-10` is every customer's that starts in that month, `2026-10-15` on that day."""

from datetime import date
from typing import NamedTuple

from billing_pipeline.contract.registry import Registry
from billing_pipeline.errors import NoInvoicePeriodError
from billing_pipeline.rating.periods import next_period, parse_period, period_end, period_start

_DAY_LENGTH = len("2026-10-15")


class NamedPeriod(NamedTuple):
    """One customer's invoice period: its first and its last posting day."""

    customer_id: str
    start: date
    end: date


def periods_named(registry: Registry, name: str) -> list[NamedPeriod]:
    """The periods of all customers that bear a name, by customer and start; a stub period is one of them.

    Raises:
        NoInvoicePeriodError: it is no name of a period.
    """
    try:
        first = parse_period(name)
    except ValueError as error:
        raise NoInvoicePeriodError(str(error)) from error
    last = first if len(name) == _DAY_LENGTH else period_end(first)
    found: list[NamedPeriod] = []
    for customer_id in sorted(registry.known_customers()):
        anchor_day = registry.anchor_day(customer_id)
        start = period_start(first, anchor_day)
        if start < first:
            start = next_period(first, anchor_day)
        while start <= last:
            found.append(NamedPeriod(customer_id, start, period_end(start, anchor_day)))
            start = next_period(start, anchor_day)
    return found
