"""The restated view: metered quantity by usage day as known now, beside what was billed day by day."""

from collections.abc import Sequence
from datetime import date

from billing_pipeline.metering.calendar import DAY_US, start_of
from billing_pipeline.metering.marginal_rollups import USAGE_DAY_COLUMNS
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
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.schemas.tables import RESTATED_ROLLUPS, USAGE_CORRECTIONS, USAGE_ROLLUPS


def usage_days_of(workshop: Workshop, keys: Sequence[PartitionKey]) -> dict[PartitionKey, set[date]]:
    """The usage days that each of some rollup partitions is about, also those whose corrections cancel out in it."""
    wanted, days = set(keys), days_of(keys)
    files = workshop.lake.files(USAGE_ROLLUPS, days)
    with workshop.engine.session() as session:
        session.scan("posted_rollups", USAGE_ROLLUPS, [file.path for file in files if file.key in wanted])
        scan(workshop, session, "corrections", USAGE_CORRECTIONS, receipt_days_for(workshop, days))
        rows = session.rows(
            "SELECT DISTINCT posting_day, rule_version, usage_day FROM posted_rollups UNION "
            "SELECT DISTINCT posting_day, rule_version, usage_day FROM corrections WHERE sign <> 0"
        )
    found: dict[PartitionKey, set[date]] = {key: set() for key in keys}
    for posting_day, version, usage_day in rows:
        if isinstance(posting_day, date) and isinstance(usage_day, date):
            key = PartitionKey(posting_day, str(version))
            if key in found:
                found[key].add(usage_day)
    return found


def restate(workshop: Workshop, usage_days: Sequence[date]) -> StageResult:
    """Make the partitions of restated rollups of some usage days, from whatever has been posted for them."""
    draft = Draft(workshop, RESTATED_ROLLUPS)
    read = {USAGE_ROLLUPS.name: workshop.lake.snapshot(USAGE_ROLLUPS)}
    with workshop.engine.session() as session:
        # Usage is posted on its own day or later.
        posted = [file.path for file in workshop.lake.files(USAGE_ROLLUPS) if file.key.day >= min(usage_days)]
        session.scan("posted_rollups", USAGE_ROLLUPS, posted)
        session.load("usage_days", USAGE_DAY_COLUMNS, [(day, start_of(day) + DAY_US) for day in usage_days])
        session.keep("restated", SQL / "restated.sql")
        for day in usage_days:
            draft.write(session, "restated", PartitionKey(day), f"usage_day = DATE '{day}'")
    return finish((draft,), read)
