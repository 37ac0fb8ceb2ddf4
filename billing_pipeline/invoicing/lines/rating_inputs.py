"""What rating reads: usage and bookings of the customers whose invoice period ends, by customer."""

from collections.abc import Iterable, Iterator
from datetime import date
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from billing_pipeline.invoicing.lines.invoice_periods import BlockedPeriod
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.stage import Workshop
from billing_pipeline.rating.adjustments import Booked
from billing_pipeline.rating.charges import LineKey, MeteredQuantity
from billing_pipeline.schemas.table import Table
from billing_pipeline.schemas.tables import BLOCKED_INVOICES, RATED_CHARGES, RATED_PERIODS

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


def booked_before(session: Session) -> dict[str, dict[LineKey, Booked]]:
    """What earlier invoices have booked, by line key."""
    session.define("booked", SQL / "booked.sql")
    columns = ", ".join(LineKey.__struct_fields__)
    rows = _stream(session, f"SELECT {columns}, booked_minor, quantity FROM booked ORDER BY customer_id")
    return {
        customer_id: {LineKey(*row[:-2]): Booked(*row[-2:]) for row in group}
        for customer_id, group in groupby(rows, itemgetter(0))
    }


def booked_ahead(workshop: Workshop, session: Session, day: date) -> dict[str, set[date]]:
    """By customer the usage periods for which fees in advance have been booked by invoices before a day."""
    scan_between(workshop, session, "charged", RATED_CHARGES, between=(date.min, day))
    rows: list[Row] = session.rows(
        "SELECT DISTINCT customer_id, usage_period FROM charged WHERE usage_period > billing_period"
    )
    return _sets(rows)


def rated_before(workshop: Workshop, session: Session, day: date) -> dict[str, dict[date, date]]:
    """By customer and usage period the day whose knowledge has rated it, in invoices before a day."""
    scan_between(workshop, session, "rated_periods", RATED_PERIODS, between=(date.min, day))
    rows: list[Row] = session.rows(
        "SELECT customer_id, usage_period, max(rated_as_of) FROM rated_periods GROUP BY customer_id, usage_period"
    )
    found: dict[str, dict[date, date]] = {}
    for customer_id, usage_period, rated_as_of in rows:
        found.setdefault(customer_id, {})[usage_period] = rated_as_of
    return found


def posted_kinds(session: Session) -> dict[str, list[Row]]:
    """Which late usage and corrections were posted, by customer: the fields of `Posting`."""
    rows = _stream(
        session,
        "SELECT DISTINCT r.customer_id, r.project_id, r.meter, r.dimensions, r.rule_version, r.usage_day, "
        "r.posting_day, r.kind FROM rollups AS r INNER JOIN invoiced AS i ON r.customer_id = i.customer_id "
        "WHERE r.kind <> 'on_time' ORDER BY r.customer_id",
    )
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


def _sets(rows: Iterable[Row]) -> dict[str, set[date]]:
    found: dict[str, set[date]] = {}
    for customer_id, day in rows:
        found.setdefault(customer_id, set()).add(day)
    return found


def _stream(session: Session, query: str) -> Iterator[Row]:
    return chain.from_iterable(session.chunks(query))
