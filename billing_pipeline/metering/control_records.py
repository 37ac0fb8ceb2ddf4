"""Registry changes: the control records of the log, apart from its usage."""

from collections.abc import Sequence
from datetime import date

from billing_pipeline.metering.stage import SQL, Draft, StageResult, Workshop, finish, scan
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.schemas.tables import RAW_USAGE_EVENTS, REGISTRY_CHANGES


def separate_registry_changes(workshop: Workshop, days: Sequence[date]) -> StageResult:
    """Make the partitions of registry changes of some receipt days."""
    draft = Draft(workshop, REGISTRY_CHANGES)
    read = {RAW_USAGE_EVENTS.name: workshop.lake.snapshot(RAW_USAGE_EVENTS)}
    with workshop.engine.session() as session:
        for day in days:
            scan(workshop, session, "raw", RAW_USAGE_EVENTS, [day])
            session.define("registry_changes", SQL / "registry_changes.sql")
            draft.write(session, "registry_changes", PartitionKey(day))
    return finish((draft,), read)
