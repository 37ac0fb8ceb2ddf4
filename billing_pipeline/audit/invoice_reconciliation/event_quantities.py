"""Events against rollups: what each meter's own events, posted in an invoice period, add up to, made another way."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal

from billing_pipeline.audit.invoice_reconciliation.comparison import Compared, EndedPeriod
from billing_pipeline.audit.rollup_conservation import MeterSums, Sums, meter_sums
from billing_pipeline.metering.calendar import days_between
from billing_pipeline.metering.stage import Workshop, scan
from billing_pipeline.rating.money import EXACT
from billing_pipeline.schemas.tables import UNMETERED_USAGE

COMPARISON = "events_rollups"
_UNMETERED = """
SELECT customer_id, unit, CAST(sum(quantity) AS DECIMAL(38, 9)) FROM unmetered
GROUP BY customer_id, unit HAVING sum(quantity) <> 0
"""
Totals = dict[tuple[str, str, str], list[Decimal]]
"""By customer, meter and unit: expected and found."""


def event_quantities(workshop: Workshop, periods: Sequence[EndedPeriod]) -> Iterator[Compared]:
    """Per customer and meter: billable events and corrections posted in the period beside the rollups of them.

    Usage is posted on its own day or later, so over all invoice periods each booking is looked at once. Meters that
    look at a usage day as a whole are made again from all that was posted for it.
    """
    by_days: dict[tuple[date, date], dict[str, EndedPeriod]] = {}
    for period in periods:
        by_days.setdefault((period.start, period.end), {})[period.customer_id] = period
    for (first, last), of_customer in sorted(by_days.items()):
        days = days_between(first, last)
        totals = _totals(meter_sums(workshop, days), of_customer)
        for (customer_id, meter, unit), (expected, found) in sorted(totals.items()):
            yield Compared(of_customer[customer_id], COMPARISON, expected, found, meter=meter, unit=unit)
        yield from _unmetered(workshop, days, of_customer)


def _totals(sums: Iterable[MeterSums], customers: dict[str, EndedPeriod]) -> Totals:
    totals: Totals = {}
    for each in sums:
        for side, parts in enumerate((each.expected, each.found)):
            _add(totals, parts, side, (each.meter.name, each.meter.unit), customers)
    return totals


def _add(
    totals: Totals, parts: Sums, side: int, of_meter: tuple[str, str], customers: dict[str, EndedPeriod]
) -> None:
    for part, found in parts.items():
        if part.customer_id in customers:
            total = totals.setdefault((part.customer_id, *of_meter), [Decimal(), Decimal()])
            total[side] = EXACT.add(total[side], found.quantity)


def _unmetered(
    workshop: Workshop, days: Sequence[date], customers: dict[str, EndedPeriod]
) -> Iterator[Compared]:
    with workshop.engine.session() as session:
        scan(workshop, session, "unmetered", UNMETERED_USAGE, days)
        rows = session.rows(_UNMETERED)
    for customer_id, unit, quantity in rows:
        if customer_id in customers and isinstance(quantity, Decimal):
            yield Compared(
                customers[str(customer_id)], COMPARISON, quantity, Decimal(), "unmetered", unit=str(unit)
            )
