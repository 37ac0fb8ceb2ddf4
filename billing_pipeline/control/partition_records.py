"""What each materialization of a partition wrote: content hash, snapshot, watermark, rules. Append-only."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, func, insert, select

from billing_pipeline.control.database import writing
from billing_pipeline.control.tables import PARTITION_RECORDS


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
