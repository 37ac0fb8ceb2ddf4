"""What the raw table holds of some receipt days: rows by kind and the hash of their files."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from billing_pipeline.lake.content_hash import file_hash
from billing_pipeline.metering.stage import Partition, StageResult, Workshop
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.schemas.tables import RAW_USAGE_EVENTS


def landed_partitions(workshop: Workshop, days: Sequence[date]) -> StageResult:
    """The partitions of the raw table, as they stand."""
    table = RAW_USAGE_EVENTS
    files = workshop.lake.files(table, days)
    kinds: dict[date, dict[str, int]] = {}
    with workshop.engine.session() as session:
        session.scan("raw", table, [file.path for file in files])
        query = "SELECT receipt_day, kind, count(*) FROM raw GROUP BY receipt_day, kind ORDER BY receipt_day, kind"
        for day, kind, count in session.rows(query):
            if isinstance(day, date):
                kinds.setdefault(day, {})[str(kind)] = int(str(count))
    partitions = tuple(
        Partition(
            table=table.name,
            key=PartitionKey(day),
            rows=sum(kinds.get(day, {}).values()),
            content_hash=file_hash(Path(file.path) for file in files if file.key.day == day),
            counts=kinds.get(day, {}),
        )
        for day in days
    )
    snapshot = workshop.lake.snapshot(table)
    return StageResult(partitions, {}, {table.name: snapshot})
