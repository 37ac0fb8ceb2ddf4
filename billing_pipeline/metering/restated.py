"""The restated view: metered quantity by usage day as known now, beside what was billed day by day."""

from collections.abc import Sequence
from datetime import date

from billing_pipeline.metering.calendar import DAY_US, start_of
from billing_pipeline.metering.marginal_rollups import USAGE_DAY_COLUMNS
from billing_pipeline.metering.stage import SQL, Draft, StageResult, Workshop, finish
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.schemas.tables import RESTATED_ROLLUPS, USAGE_ROLLUPS


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
