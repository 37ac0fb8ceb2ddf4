"""Which usage days are to be restated: those that rollups made since then are about, and no others."""

from datetime import date

from billing_pipeline.control.partition_records import last_records
from billing_pipeline.defs.partitions import partition_keys_of
from billing_pipeline.metering.restated import usage_days_of
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.tables import RESTATED_ROLLUPS, USAGE_ROLLUPS


def days_to_restate(pipeline: Pipeline, after: int) -> tuple[list[date], int]:
    """Usage days whose restated rollups are older than a rollup partition made after a record of the control database.

    Returns:
        The days in order, and the id of the last record that was looked at: where to go on next time.
    """
    made = last_records(pipeline.control, USAGE_ROLLUPS.name, after=after)
    if not made:
        return [], after
    restated = last_records(pipeline.control, RESTATED_ROLLUPS.name, after=after)
    touched = usage_days_of(pipeline.workshop, partition_keys_of(sorted(made)))
    due = {
        day
        for key, days in touched.items()
        for day in days
        if restated.get(day.isoformat(), 0) < made[str(key)]
    }
    return sorted(due), max(made.values())
