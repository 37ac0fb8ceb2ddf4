"""What the tables say of customers' usage periods: usage as metered, what was billed of it, and what was not."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

from billing_pipeline.audit.draft_usage import UsageDays
from billing_pipeline.audit.simulated import ChargeKey
from billing_pipeline.invoicing.lines.rating_inputs import SQL
from billing_pipeline.invoicing.lines.rating_stage import INVOICED_COLUMNS
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.stage import Workshop
from billing_pipeline.rating.charges import INVOICE_COMPONENTS, MeteredQuantity
from billing_pipeline.schemas.tables import BLOCKED_INVOICES, RATED_CHARGES, RATED_PERIODS

ONE_DAY = timedelta(days=1)
Amounts = dict[ChargeKey, int]


class PeriodRecords:
    """Usage, bookings and invoices of the customers' usage periods.

    Attributes:
        billed: by customer and usage period what all invoices so far have booked.
        usage: by customer the metered quantities, each under the draft's version: as if it had been in force.
        unmetered: by customer what no meter takes.
    """

    def __init__(
        self,
        session: Session,
        over: Workshop,
        days: UsageDays,
        periods: Mapping[str, UsageDays],
        version: str,
    ) -> None:
        self._periods = periods
        session.load("invoiced", INVOICED_COLUMNS, [(customer_id,) for customer_id in periods])
        for name in ("period_usage", "unmetered_now"):
            session.define(name, SQL / f"{name}.sql")
        self._scan_invoices(session, over, days)
        self.billed = {key: _amounts(rows) for key, rows in _by_customer(session, _BILLED)}
        self._rated = {(row[0], row[1]) for row in session.rows(_RATED)}
        self._held_back = {(row[0], row[1]) for row in session.rows(_HELD_BACK)}
        self.unmetered = {
            customer_id: [row for row in rows if self._within(row, 1)]
            for customer_id, rows in _by_customer(session, _UNMETERED.format(days.condition))
        }
        self.usage = {
            customer_id: [
                MeteredQuantity(*row)._replace(rule_version=version)  # as if the draft had been in force
                for row in rows
                if self._within(row, 5)
            ]
            for customer_id, rows in _by_customer(session, _USAGE.format(days.condition))
        }

    def _scan_invoices(self, session: Session, over: Workshop, days: UsageDays) -> None:
        # Fees in advance are booked by the invoice whose period ends on the day before.
        first = days.first - ONE_DAY
        ended: set[date] = set()
        for table in (RATED_CHARGES, RATED_PERIODS, BLOCKED_INVOICES):
            files = [file for file in over.lake.files(table) if file.key.day >= first]
            session.scan(table.name, table, [file.path for file in files])
            ended.update(file.key.day for file in files)
        self._last_end = max(ended, default=date.min)

    def why_not_billed(self, customer_id: str) -> str:
        """Why no invoice has rated the customer's period yet; "" where one has, or where there was nothing to rate."""
        start, end = self._periods[customer_id].first, self._periods[customer_id].last
        if (customer_id, start) in self._rated:
            return ""
        if (customer_id, start) in self._held_back:
            return "its invoice is held back"
        return "" if end <= self._last_end else f"its period ends on {end} and no invoice of it has been made"

    def _within(self, row: tuple[Any, ...], column: int) -> bool:
        return row[column] in self._periods[row[0]]


_COMPONENTS = ", ".join(f"'{each}'" for each in sorted(INVOICE_COMPONENTS))
_BILLED = f"""
SELECT c.customer_id, c.usage_period, c.currency, c.component, c.plan, c.charge, c.meter, c.term,
    CAST(sum(c.amount_minor - c.booked_before_minor) AS BIGINT) AS amount_minor
FROM rated_charges AS c INNER JOIN invoiced AS i ON c.customer_id = i.customer_id
WHERE c.component NOT IN ({_COMPONENTS})
GROUP BY c.customer_id, c.usage_period, c.currency, c.component, c.plan, c.charge, c.meter, c.term
ORDER BY c.customer_id, c.usage_period
"""
_RATED = "SELECT DISTINCT customer_id, usage_period FROM rated_periods"
_HELD_BACK = "SELECT DISTINCT customer_id, billing_period FROM blocked_invoices"
_UNMETERED = """
SELECT u.customer_id, u.usage_day, u.project_id, u.unit, u.dimensions, u.quantity
FROM unmetered_now AS u INNER JOIN invoiced AS i ON u.customer_id = i.customer_id
WHERE {} ORDER BY u.customer_id, u.usage_day, u.project_id, u.unit, u.dimensions
"""
_USAGE = "SELECT * FROM period_usage WHERE {} ORDER BY customer_id"


def _by_customer(session: Session, query: str) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    rows = (row for chunk in session.chunks(query) for row in chunk)
    for customer_id, group in groupby(rows, itemgetter(0)):
        yield str(customer_id), list(group)


def _amounts(rows: Sequence[tuple[Any, ...]]) -> dict[date, Amounts]:
    found: dict[date, Amounts] = {}
    for _, usage_period, *key, amount in rows:
        found.setdefault(usage_period, {})[ChargeKey(*key)] = amount
    return found
