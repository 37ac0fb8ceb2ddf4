"""What rating reads: usage and bookings of the customers whose invoice period ends, by customer."""

from collections.abc import Iterator
from datetime import date
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from billing_pipeline.invoicing.invoice_periods import BlockedPeriod
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.stage import Workshop
from billing_pipeline.rating.charges import LineKey, MeteredQuantity
from billing_pipeline.schemas.table import Table
from billing_pipeline.schemas.tables import BLOCKED_INVOICES

SQL = Path(__file__).parent / "sql"

Row = tuple[Any, ...]


def scan_between(
    workshop: Workshop, session: Session, name: str, table: Table, *, between: tuple[date, date]
) -> None:
    """Name a relation over the partitions from a day up to, and without, another one."""
    first, until = between
    files = workshop.lake.files(table)
    session.scan(name, table, [file.path for file in files if first <= file.key.day < until])


def blocked_before(workshop: Workshop, session: Session, day: date) -> dict[str, list[BlockedPeriod]]:
    """The invoice periods that were blocked before a day."""
    scan_between(workshop, session, "blocked", BLOCKED_INVOICES, between=(date.min, day))
    found: dict[str, list[BlockedPeriod]] = {}
    rows: list[Row] = session.rows("SELECT DISTINCT customer_id, billing_period, period_end_day FROM blocked")
    for customer_id, start, end in rows:
        found.setdefault(customer_id, []).append(BlockedPeriod(start, end))
    return found


def metered_usage(session: Session) -> dict[str, list[MeteredQuantity]]:
    """Usage of the touched usage periods, all postings up to the end of the invoice period."""
    session.define("period_usage", SQL / "period_usage.sql")
    rows = _stream(session, "SELECT * FROM period_usage ORDER BY customer_id")
    return {
        customer_id: [MeteredQuantity(*row) for row in group]
        for customer_id, group in groupby(rows, itemgetter(0))
    }


def booked_before(session: Session) -> dict[str, dict[LineKey, int]]:
    """What earlier invoices have booked, by line key, in minor units."""
    session.define("booked", SQL / "booked.sql")
    columns = "customer_id, project_id, usage_period, plan, charge, meter, dimensions, rule_version, currency"
    rows = _stream(session, f"SELECT {columns}, booked_minor FROM booked ORDER BY customer_id")
    return {
        customer_id: {LineKey(*row[:-1]): row[-1] for row in group}
        for customer_id, group in groupby(rows, itemgetter(0))
    }


def first_postings(session: Session) -> dict[str, list[Row]]:
    """(customer, usage day, first posting day) of the usage."""
    session.define("first_postings", SQL / "first_postings.sql")
    rows = _stream(session, "SELECT * FROM first_postings ORDER BY customer_id")
    return {customer_id: list(group) for customer_id, group in groupby(rows, itemgetter(0))}


def unmetered_usage(session: Session) -> dict[str, list[Row]]:
    """Billable usage that no meter took, and that no correction has taken back."""
    session.define("unmetered_now", SQL / "unmetered_now.sql")
    rows = _stream(
        session,
        "SELECT customer_id, usage_day, project_id, unit, dimensions, rule_version, quantity FROM unmetered_now "
        "ORDER BY customer_id, usage_day, project_id, unit, dimensions, rule_version",
    )
    return {customer_id: list(group) for customer_id, group in groupby(rows, itemgetter(0))}


def _stream(session: Session, query: str) -> Iterator[Row]:
    return chain.from_iterable(session.chunks(query))
