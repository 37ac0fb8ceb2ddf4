"""What each materialization of a partition wrote: content hash, snapshot, watermark, rules. Append-only."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Engine, func, insert, select

from billing_pipeline.control.database import writing
from billing_pipeline.control.tables import PARTITION_RECORDS

CLOSED_DAYS = "closed_days"
"""The name under which it is kept which days have been closed to their end; nothing in the lake bears it."""


@dataclass(frozen=True, kw_only=True)
class PartitionRecord:
    """One materialization of one partition.

    `watermark` is the queue's clock that the partition was made under (UTC µs, None where there is none),
    `closed` says that the partition can no longer change, `rule_books` names each version used with its
    content hash, `recorded_at` is UTC µs.
    """

    table_name: str
    partition_key: str
    content_hash: str
    row_count: int
    snapshot_id: str
    watermark: int | None
    closed: bool
    rule_books: Mapping[str, str]
    recorded_at: int
    run_id: str


def record(engine: Engine, rows: Sequence[PartitionRecord]) -> None:
    """Add `rows`, all or none of them."""
    if not rows:
        return
    values = [
        {**vars(row), "rule_books": json.dumps(dict(row.rule_books), sort_keys=True, separators=(",", ":"))}
        for row in rows
    ]
    with writing(engine) as connection:
        connection.execute(insert(PARTITION_RECORDS), values)


def latest(engine: Engine, table_name: str) -> dict[str, PartitionRecord]:
    """The newest record of every partition of `table_name`, by partition key."""
    table = PARTITION_RECORDS
    newest = (
        select(func.max(table.c.id)).where(table.c.table_name == table_name).group_by(table.c.partition_key)
    )
    columns = [column for column in table.c if column.name != "id"]
    with engine.connect() as connection:
        rows = connection.execute(select(*columns).where(table.c.id.in_(newest))).mappings().all()
    return {
        row["partition_key"]: PartitionRecord(**{**row, "rule_books": json.loads(row["rule_books"])})
        for row in rows
    }


def closed_days(engine: Engine, table_name: str) -> set[date]:
    """The days whose partition of a table was made after the day had closed, so that it can no longer change."""
    return {date.fromisoformat(key[:10]) for key, found in latest(engine, table_name).items() if found.closed}


def last_records(engine: Engine, table_name: str, *, after: int = 0) -> dict[str, int]:
    """The id of the newest record of each partition of a table that was made after a record; ids grow with time."""
    table = PARTITION_RECORDS
    query = (
        select(table.c.partition_key, func.max(table.c.id))
        .where(table.c.table_name == table_name, table.c.id > after)
        .group_by(table.c.partition_key)
    )
    with engine.connect() as connection:
        return {str(key): int(record_id) for key, record_id in connection.execute(query)}


def highest_watermark(engine: Engine) -> int | None:
    """The furthest watermark (UTC µs) that anything was made under; None before the first partition."""
    with engine.connect() as connection:
        found: int | None = connection.execute(select(func.max(PARTITION_RECORDS.c.watermark))).scalar()
    return found
