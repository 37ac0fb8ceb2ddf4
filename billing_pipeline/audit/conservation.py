"""Conservation: nothing is lost between two tables, nothing appears from nowhere. Each fault is a sentence."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from billing_pipeline.metering.registry_relations import registry_until
from billing_pipeline.metering.stage import Workshop, scan
from billing_pipeline.rating.money import round_minor
from billing_pipeline.rating.registered_agreement import agreement_of
from billing_pipeline.schemas.table import Column, ColumnType
from billing_pipeline.schemas.tables import (
    DUPLICATE_USAGE_EVENTS,
    INVOICE_LINES,
    RATED_CHARGES,
    RAW_USAGE_EVENTS,
    REGISTRY_CHANGES,
    REJECTED_USAGE_EVENTS,
    UNIQUE_USAGE_EVENTS,
    USAGE_CORRECTIONS,
    VALID_USAGE_EVENTS,
)

SQL = Path(__file__).parent / "sql"

GRANT_COLUMNS = (
    Column("customer_id", ColumnType.TEXT, "whose grant"),
    Column("grant_id", ColumnType.TEXT, "its name"),
    Column("currency", ColumnType.TEXT, "its currency"),
    Column("granted_minor", ColumnType.WHOLE, "all of it, in the minor unit"),
)
DAY_COLUMNS = (Column("period_end_day", ColumnType.DAY, "a day that is looked at"),)

_RECORDS = {
    "raw": RAW_USAGE_EVENTS,
    "registry_changes": REGISTRY_CHANGES,
    "valid": VALID_USAGE_EVENTS,
    "rejected": REJECTED_USAGE_EVENTS,
    "unique_events": UNIQUE_USAGE_EVENTS,
    "duplicate_events": DUPLICATE_USAGE_EVENTS,
    "corrections": USAGE_CORRECTIONS,
}


def record_faults(workshop: Workshop, days: Sequence[date]) -> list[str]:
    """Where a record of these receipt days is in no table, or in two."""
    with workshop.engine.session() as session:
        for name, table in _RECORDS.items():
            scan(workshop, session, name, table, days)
        rows = session.rows((SQL / "records_conserved.sql").read_text("utf-8"))
    return [f"{day}: {law}: {expected} records against {found}" for day, law, expected, found in rows]


def line_faults(workshop: Workshop, days: Sequence[date]) -> list[str]:
    """Where the invoice lines of these days do not bill what the charges book."""
    with workshop.engine.session() as session:
        scan(workshop, session, "charges", RATED_CHARGES, days)
        scan(workshop, session, "lines", INVOICE_LINES, days)
        session.define("booked_and_billed", SQL / "booked_and_billed.sql")
        rows = session.rows((SQL / "lines_conserved.sql").read_text("utf-8"))
    return [
        f"{day}: {customer_id} {currency}: charges book {charged} minor units, lines bill {billed}"
        for day, customer_id, currency, charged, billed in rows
    ]


def credit_faults(workshop: Workshop, days: Sequence[date]) -> list[str]:
    """Where by the end of one of these days more than a grant was drawn, or a credited invoice is below zero."""
    if not days:
        return []
    wanted = frozenset(days)
    with workshop.engine.session() as session:
        files = workshop.lake.files(RATED_CHARGES)
        session.scan("charges", RATED_CHARGES, [file.path for file in files if file.key.day <= max(wanted)])
        session.load("days", DAY_COLUMNS, [(day,) for day in sorted(wanted)])
        customers = session.rows(
            "SELECT DISTINCT customer_id FROM charges WHERE component = 'credit' ORDER BY customer_id"
        )
        registry = registry_until(workshop, session, date.max)
        granted = [
            (customer_id, grant.grant_id, grant.currency, round_minor(grant.amount, grant.currency))
            for (customer_id,) in customers
            for grant in agreement_of(registry, str(customer_id)).grants
        ]
        session.load("grants", GRANT_COLUMNS, granted)
        rows = session.rows((SQL / "credits_conserved.sql").read_text("utf-8"))
    return [
        f"{day}: {customer_id} {currency}: {what}: {found} minor units, at most {most}"
        if most is not None
        else f"{day}: {customer_id} {currency}: {what}: {found} minor units"
        for day, customer_id, currency, what, found, most in rows
    ]


def open_days(workshop: Workshop, days: Sequence[date], watermark: int) -> list[date]:
    """The days that are not closed by the watermark: their partitions may still change."""
    return [day for day in days if watermark < workshop.calendar.close(day)]
