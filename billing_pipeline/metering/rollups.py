"""Rollups: metered quantity by posting day and rule version, from the unique events of the receipt days around it."""

from collections.abc import Sequence
from datetime import date

from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.meters import taken_by
from billing_pipeline.metering.stage import (
    SQL,
    Draft,
    StageResult,
    Workshop,
    days_of,
    finish,
    receipt_days_for,
    scan,
)
from billing_pipeline.schemas.table import Column, ColumnType, PartitionKey
from billing_pipeline.schemas.tables import UNIQUE_USAGE_EVENTS, UNMETERED_USAGE, USAGE_ROLLUPS

POSTING_DAY_COLUMNS = (Column("posting_day", ColumnType.DAY, "asked for"),)
METER_COLUMNS = (
    Column("rule_version", ColumnType.TEXT, "rule version"),
    Column("unit", ColumnType.TEXT, "unit of the usage"),
    Column("dimensions", ColumnType.TEXT, "all dimensions of the usage"),
    Column("meter", ColumnType.TEXT, "a meter that takes it"),
    Column("aggregation", ColumnType.TEXT, "sum or count"),
    Column("grouped_dimensions", ColumnType.TEXT, "the dimensions the meter keeps apart"),
)


def roll_up(workshop: Workshop, keys: Sequence[PartitionKey]) -> StageResult:
    """Make the rollup partitions (posting day × rule version) that were asked for, in one pass over their days."""
    draft = Draft(workshop, USAGE_ROLLUPS)
    read = {UNIQUE_USAGE_EVENTS.name: workshop.lake.snapshot(UNIQUE_USAGE_EVENTS)}
    with workshop.engine.session() as session:
        _prepare(workshop, session, days_of(keys))
        session.keep("rollups", SQL / "rollups.sql")
        for key in keys:
            of_key = f"posting_day = DATE '{key.day}' AND rule_version = '{key.rule_version}'"
            draft.write(session, "rollups", key, of_key)
    return finish((draft,), read)


def list_unmetered(workshop: Workshop, days: Sequence[date]) -> StageResult:
    """Make the partitions of billable usage that no meter takes, of some posting days."""
    draft = Draft(workshop, UNMETERED_USAGE)
    read = {UNIQUE_USAGE_EVENTS.name: workshop.lake.snapshot(UNIQUE_USAGE_EVENTS)}
    with workshop.engine.session() as session:
        _prepare(workshop, session, days)
        session.keep("unmetered", SQL / "unmetered.sql")
        for day in days:
            draft.write(session, "unmetered", PartitionKey(day), f"posting_day = DATE '{day}'")
    return finish((draft,), read)


def versions_found(workshop: Workshop, days: Sequence[date]) -> list[PartitionKey]:
    """Posting day × rule version for every version that occurs in the unique events of these posting days."""
    wanted = set(days)
    with workshop.engine.session() as session:
        scan(workshop, session, "unique_events", UNIQUE_USAGE_EVENTS, receipt_days_for(workshop, days))
        rows = session.rows("SELECT DISTINCT posting_day, rule_version FROM unique_events")
    found = [
        PartitionKey(day, str(version)) for day, version in rows if isinstance(day, date) and day in wanted
    ]
    return sorted(found, key=str)


def _prepare(workshop: Workshop, session: Session, days: Sequence[date]) -> None:
    scan(workshop, session, "unique_events", UNIQUE_USAGE_EVENTS, receipt_days_for(workshop, days))
    session.load("posting_days", POSTING_DAY_COLUMNS, [(day,) for day in days])
    session.keep("billable_usage", SQL / "billable_usage.sql")
    session.load("meters", METER_COLUMNS, _meters_of_usage(workshop, session))


def _meters_of_usage(workshop: Workshop, session: Session) -> list[tuple[object, ...]]:
    """For each distinct usage the meters that take it: one decision, made where the guard makes it too."""
    rows: list[tuple[object, ...]] = []
    for version, unit, dimensions in session.rows(
        "SELECT DISTINCT rule_version, unit, dimensions FROM billable_usage ORDER BY ALL"
    ):
        book = workshop.books.get(str(version))
        if book is not None:
            rows += [
                (
                    version,
                    unit,
                    dimensions,
                    taken.meter.name,
                    taken.meter.aggregation,
                    taken.grouped_dimensions,
                )
                for taken in taken_by(book, str(unit), str(dimensions))
            ]
    return rows
