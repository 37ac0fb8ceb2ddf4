"""Conservation: nothing is lost between two tables, nothing appears from nowhere. Each fault is a sentence."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.stage import Workshop, receipt_days_for, scan
from billing_pipeline.rating.rule_book import Meter
from billing_pipeline.schemas.tables import (
    DUPLICATE_USAGE_EVENTS,
    INVOICE_LINES,
    RATED_CHARGES,
    RAW_USAGE_EVENTS,
    REGISTRY_CHANGES,
    REJECTED_USAGE_EVENTS,
    UNIQUE_USAGE_EVENTS,
    USAGE_CORRECTIONS,
    USAGE_ROLLUPS,
    VALID_USAGE_EVENTS,
)

SQL = Path(__file__).parent / "sql"

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


def rollup_faults(workshop: Workshop, days: Sequence[date], version: str | None = None) -> list[str]:
    """Where the rollups of these posting days are not, per customer, what each meter's own events add up to.

    Of one rule version, or of all: then every version found in the days' events must be there. The sums are made
    anew, meter by meter, with the filter of the rule book written as SQL: another way to the number than the one
    that made it.
    """
    faults: list[str] = []
    with workshop.engine.session() as session:
        scan(workshop, session, "unique_events", UNIQUE_USAGE_EVENTS, receipt_days_for(workshop, days))
        scan(workshop, session, "rollups", USAGE_ROLLUPS, days)
        listed = ", ".join(f"DATE '{day}'" for day in sorted(set(days)))
        chosen = f"posting_day IN ({listed})"
        for book in (book for book in workshop.books if version in (None, book.version)):
            for meter in book.meters.values():
                expected = _sums(
                    session,
                    f"SELECT posting_day, customer_id, {_aggregate(meter)}, count(*) FROM unique_events "
                    f"WHERE billable AND {chosen} AND rule_version = {_text(book.version)} AND {_takes(meter)} "
                    "GROUP BY posting_day, customer_id",
                )
                found = _sums(
                    session,
                    f"SELECT posting_day, customer_id, sum(quantity), sum(event_count) FROM rollups WHERE {chosen} "
                    f"AND rule_version = {_text(book.version)} AND meter = {_text(meter.name)} "
                    "GROUP BY posting_day, customer_id",
                )
                faults += [
                    f"{part}: meter {meter.name}, rule version {book.version}: "
                    f"events say {expected.get(part, 'nothing')}, rollups {found.get(part, 'nothing')}"
                    for part in sorted(expected.keys() | found.keys())
                    if expected.get(part) != found.get(part)
                ]
    return faults


def line_faults(workshop: Workshop, days: Sequence[date]) -> list[str]:
    """Where the invoice lines of these days do not bill what the charges book."""
    with workshop.engine.session() as session:
        scan(workshop, session, "charges", RATED_CHARGES, days)
        scan(workshop, session, "lines", INVOICE_LINES, days)
        rows = session.rows((SQL / "lines_conserved.sql").read_text("utf-8"))
    return [
        f"{day}: {customer_id} {currency}: charges book {charged} minor units, lines bill {billed}"
        for day, customer_id, currency, charged, billed in rows
    ]


def open_days(workshop: Workshop, days: Sequence[date], watermark: int) -> list[date]:
    """The days that are not closed by the watermark: their partitions may still change."""
    return [day for day in days if watermark < workshop.calendar.close(day)]


def _sums(session: Session, query: str) -> dict[str, str]:
    return {
        f"{day}, {customer_id}": f"{quantity} in {events} events"
        for day, customer_id, quantity, events in session.rows(query)
    }


def _aggregate(meter: Meter) -> str:
    total = "count(*)" if meter.aggregation == "count" else "sum(quantity)"
    return f"CAST({total} AS DECIMAL(38, 9))"


def _takes(meter: Meter) -> str:
    conditions = [f"unit = {_text(meter.unit)}"]
    for name, values in sorted(meter.filter.items()):
        path = _text('$."' + name + '"')
        listed = ", ".join(_text(value) for value in sorted(values))
        conditions.append(f"json_extract_string(dimensions, {path}) IN ({listed})")
    return " AND ".join(conditions)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
