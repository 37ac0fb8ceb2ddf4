"""Rollups: metered quantity by posting day and rule version, from what counts in the receipt days around it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, time

from billing_pipeline.errors import EngineOverflowError, QuantityOverflowError
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.marginal_rollups import name_marginal_rollups
from billing_pipeline.metering.meter_relation import load_meters
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
from billing_pipeline.schemas.tables import (
    UNIQUE_USAGE_EVENTS,
    UNMETERED_USAGE,
    USAGE_CORRECTIONS,
    USAGE_ROLLUPS,
)

POSTING_DAY_COLUMNS = (Column("posting_day", ColumnType.DAY, "asked for"),)


def roll_up(workshop: Workshop, keys: Sequence[PartitionKey]) -> StageResult:
    """Make the rollup partitions (posting day × rule version) that were asked for, in one pass over their days.

    Raises:
        QuantityOverflowError: a quantity has more digits than can be stored; it names the row.
    """
    draft = Draft(workshop, USAGE_ROLLUPS)
    read = _snapshots(workshop)
    with workshop.engine.session() as session:
        _name_rollups(workshop, session, days_of(keys))
        for key in keys:
            of_key = f"posting_day = DATE '{key.day}' AND rule_version = '{key.rule_version}'"
            draft.write(session, "rollups", key, of_key)
    return finish((draft,), read)


def list_unmetered(workshop: Workshop, days: Sequence[date]) -> StageResult:
    """Make the partitions of billable usage that no meter takes, of some posting days."""
    draft = Draft(workshop, UNMETERED_USAGE)
    read = _snapshots(workshop)
    with workshop.engine.session() as session:
        _name_metered_usage(workshop, session, days)
        session.keep("unmetered", SQL / "unmetered.sql")
        for day in days:
            draft.write(session, "unmetered", PartitionKey(day), f"posting_day = DATE '{day}'")
    return finish((draft,), read)


def versions_found(workshop: Workshop, days: Sequence[date]) -> list[PartitionKey]:
    """Posting day × rule version for every version that some posting days have rollups or usage of.

    An event can change what another rule version books for its usage day, where a meter looks at the day as a whole and
    a version starts within it: then that version is found too, though the posting day has no event of it.
    """
    wanted = set(days)
    with workshop.engine.session() as session:
        _scan_counted(workshop, session, days)
        query = (
            "SELECT DISTINCT posting_day, rule_version FROM unique_events UNION "
            "SELECT DISTINCT posting_day, rule_version FROM corrections WHERE sign <> 0"
        )
        rows = session.rows(query)
        if _versions_share_meters(workshop):
            _name_rollups(workshop, session, days)
            rows += session.rows("SELECT DISTINCT posting_day, rule_version FROM rollups")
    found = {
        PartitionKey(day, str(version)) for day, version in rows if isinstance(day, date) and day in wanted
    }
    return sorted(found, key=str)


def _versions_share_meters(workshop: Workshop) -> bool:
    """Whether usage of one version can change what another one books: both in one day, a meter looking at it whole."""
    starts_within_a_day = any(book.effective_from.time() != time() for book in list(workshop.books)[1:])
    return starts_within_a_day and any(
        not meter.is_additive for book in workshop.books for meter in book.meters.values()
    )


def _snapshots(workshop: Workshop) -> dict[str, int | None]:
    return {table.name: workshop.lake.snapshot(table) for table in (UNIQUE_USAGE_EVENTS, USAGE_CORRECTIONS)}


def _scan_counted(workshop: Workshop, session: Session, days: Sequence[date]) -> None:
    receipt_days = receipt_days_for(workshop, days)
    scan(workshop, session, "unique_events", UNIQUE_USAGE_EVENTS, receipt_days)
    scan(workshop, session, "corrections", USAGE_CORRECTIONS, receipt_days)


def _name_metered_usage(workshop: Workshop, session: Session, days: Sequence[date]) -> None:
    _scan_counted(workshop, session, days)
    session.load("posting_days", POSTING_DAY_COLUMNS, [(day,) for day in days])
    with _naming_the_row(session):
        session.keep("metered_usage", SQL / "metered_usage.sql")
    load_meters(workshop, session, "meters", "metered_usage")


def _name_rollups(workshop: Workshop, session: Session, days: Sequence[date]) -> None:
    _name_metered_usage(workshop, session, days)
    session.define("additive_rollups", SQL / "additive_rollups.sql")
    with _naming_the_row(session):
        name_marginal_rollups(workshop, session, days)
        session.keep("rollups", SQL / "rollups.sql")


@contextmanager
def _naming_the_row(session: Session) -> Iterator[None]:
    """Where a quantity overflows, say whose."""
    try:
        yield
    except EngineOverflowError as error:
        found = session.rows((SQL / "overflowing.sql").read_text("utf-8"))
        if not found:
            raise
        posting_day, rule_version, customer_id, project_id, unit, source, event_id = found[0]
        assert isinstance(posting_day, date)  # noqa: S101 - for the type checker; the column is a day
        raise QuantityOverflowError(
            posting_day=posting_day,
            rule_version=str(rule_version),
            customer_id=str(customer_id),
            project_id=str(project_id),
            unit=str(unit),
            event=f"{source} {event_id}",
        ) from error
