"""Valid and rejected: every record of a receipt day goes to exactly one of the two, but for control records."""

from collections.abc import Sequence
from datetime import date, timedelta

from billing_pipeline.contract.instants import datetime_of, microseconds_of
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.calendar import GRACE_MAX_DAYS, day_of, days_between, start_of
from billing_pipeline.metering.registry_relations import registry_as_known
from billing_pipeline.metering.stage import SQL, Draft, StageResult, Workshop, finish, scan
from billing_pipeline.schemas.table import Column, ColumnType, PartitionKey
from billing_pipeline.schemas.tables import (
    RAW_USAGE_EVENTS,
    REGISTRY_CHANGES,
    REJECTED_USAGE_EVENTS,
    USAGE_CORRECTION_KEYS,
    USAGE_EVENT_KEYS,
    VALID_USAGE_EVENTS,
)

_DAY, _INSTANT, _TEXT, _WHOLE = ColumnType.DAY, ColumnType.INSTANT, ColumnType.TEXT, ColumnType.WHOLE

CALENDAR_COLUMNS = (
    Column("usage_day", _DAY, "UTC date of occurred_at"),
    Column("starts_at", _INSTANT, "first instant of the row"),
    Column("ends_at", _INSTANT, "first instant after the row"),
    Column("rule_version", _TEXT, "in force from starts_at to ends_at"),
    Column("too_late_at", _INSTANT, "received from then on, usage of the day is rejected"),
)
CUSTOMER_COLUMNS = (
    Column("customer_id", _TEXT, "registered customer"),
    Column("from_offset", _WHOLE, "visible to offsets after this one"),
    Column("until_offset", _WHOLE, "and up to this one"),
)
PROJECT_COLUMNS = (
    Column("customer_id", _TEXT, "registered customer"),
    Column("project_id", _TEXT, "registered project of the customer"),
    Column("from_offset", _WHOLE, "visible to offsets after this one"),
    Column("until_offset", _WHOLE, "and up to this one"),
    Column("customer_closed_at", _INSTANT, "null while the customer is open", nullable=True),
    Column("project_closed_at", _INSTANT, "null while the project is open", nullable=True),
)
UNIT_COLUMNS = (Column("rule_version", _TEXT, "rule version"), Column("unit", _TEXT, "a unit it knows"))


def validate(workshop: Workshop, days: Sequence[date]) -> StageResult:
    """Make the partitions of valid and rejected records, and their key files, of some receipt days."""
    tables = (VALID_USAGE_EVENTS, REJECTED_USAGE_EVENTS, USAGE_EVENT_KEYS, USAGE_CORRECTION_KEYS)
    valid, rejected, keys, correction_keys = (Draft(workshop, table) for table in tables)
    read = {table.name: workshop.lake.snapshot(table) for table in (RAW_USAGE_EVENTS, REGISTRY_CHANGES)}
    with workshop.engine.session() as session:
        _load_rules(workshop, session, max(days))
        _load_registry(workshop, session, max(days))
        for day in days:
            key = PartitionKey(day)
            scan(workshop, session, "raw", RAW_USAGE_EVENTS, [day])
            session.keep("payer_faults", SQL / "payer_faults.sql")
            session.define("classified", SQL / "classified.sql")
            session.define("valid", SQL / "valid.sql")
            session.keep("rejections", SQL / "rejections.sql")
            session.define("rejected", SQL / "rejected.sql")
            paths = valid.write(session, "valid", key, offsets_of="raw")
            rejected.write(session, "rejected", key, counts=_by_reason(session))
            session.scan("valid_written", VALID_USAGE_EVENTS, paths)
            keys.write(session, "valid_written", key)
            session.define("correction_keys", SQL / "correction_keys.sql")
            correction_keys.write(session, "correction_keys", key)
    return finish((keys, correction_keys, rejected, valid), read)


def _by_reason(session: Session) -> dict[str, int]:
    rows = session.rows(
        "SELECT rejected_as, count(*) FROM rejections GROUP BY rejected_as ORDER BY rejected_as"
    )
    return {str(reason): int(str(count)) for reason, count in rows}


def _load_rules(workshop: Workshop, session: Session, last: date) -> None:
    books = list(workshop.books)
    starts = [microseconds_of(book.effective_from) for book in books]
    # Usage of a receipt day runs ahead of it by the grace, and beyond that by the tolerance: into the day after.
    until = last + timedelta(days=GRACE_MAX_DAYS + 2)
    rows: list[tuple[object, ...]] = []
    for book, start, end in zip(books, starts, [*starts[1:], start_of(until)], strict=True):
        for day in days_between(day_of(start), min(day_of(end - 1), until)):
            entry = workshop.calendar.entry(day)
            starts_at, ends_at = max(start, start_of(day)), min(end, start_of(day + timedelta(days=1)))
            rows.append(
                (
                    day,
                    datetime_of(starts_at),
                    datetime_of(ends_at),
                    book.version,
                    datetime_of(entry.too_late_at),
                )
            )
    session.load("calendar", CALENDAR_COLUMNS, rows)
    session.load(
        "units", UNIT_COLUMNS, [(book.version, unit) for book in books for unit in sorted(book.units)]
    )


def _load_registry(workshop: Workshop, session: Session, last: date) -> None:
    customers, projects = registry_as_known(workshop, session, last)
    session.load("customers", CUSTOMER_COLUMNS, customers)
    session.load("projects", PROJECT_COLUMNS, projects)
