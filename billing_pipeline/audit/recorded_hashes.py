"""Whether what is recorded of each partition still holds: its content hash, made anew from the lake's files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from billing_pipeline.control.partition_records import PartitionRecord, latest
from billing_pipeline.lake.content_hash import file_hash, row_hash
from billing_pipeline.lake.engine import Session
from billing_pipeline.lake.iceberg import DataFile
from billing_pipeline.metering.stage import Workshop
from billing_pipeline.schemas.table import PartitionKey, Table

if TYPE_CHECKING:
    from sqlalchemy import Engine

Wanted = Callable[[PartitionKey], bool]
MAKE_AGAIN = (
    "see with `billing replay` which rows differ, and make the partition again (docs/operations.md, Backfill)"
)


@dataclass
class HashedPartitions:
    """The content hash of each partition that was looked at, as the lake's files give it, and what is wrong."""

    hashes: dict[PartitionKey, str] = field(default_factory=dict)
    rows: int = 0
    faults: list[str] = field(default_factory=list)


def reproduced_hashes(
    workshop: Workshop,
    control: "Engine",
    table: Table,
    wanted: Wanted,
    told: Callable[[int, int], None] = lambda _done, _of: None,
) -> HashedPartitions:
    """Hash the wanted partitions of a table anew and compare them with their newest records.

    Of the append-only table only closed days are compared: an open one grows after it was recorded.
    """
    records = {
        key: record
        for text, record in latest(control, table.name).items()
        if wanted(key := PartitionKey.of(text)) and (record.closed or not table.append_only)
    }
    files: dict[PartitionKey, list[DataFile]] = {}
    for file in workshop.lake.files(table):
        if wanted(file.key) and (file.key in records or not table.append_only):
            files.setdefault(file.key, []).append(file)
    found = HashedPartitions()
    keys = sorted(records.keys() | files.keys(), key=str)
    with workshop.engine.session() as session:
        for done, key in enumerate(keys):
            told(done, len(keys))
            record, stored = records.get(key), files.get(key, [])
            fault = _hash(session, table, key, stored, found) or _difference(
                found.hashes[key], record, stored
            )
            if fault:
                found.faults.append(f"{table.name} {key} {fault}: {MAKE_AGAIN}")
    return found


def content_hash(session: Session, table: Table, paths: Sequence[str]) -> str:
    """The content hash of a partition, as the stage that wrote its files took it."""
    return row_hash(session, table, paths) if table.hash_rows else file_hash(map(Path, paths))


def _hash(
    session: Session, table: Table, key: PartitionKey, files: Sequence[DataFile], found: HashedPartitions
) -> str | None:
    missing = [file.path for file in files if not Path(file.path).is_file()]
    if missing:
        return f"lacks {missing[0]}, which is missing on the disk"
    found.rows += sum(file.rows for file in files)
    found.hashes[key] = content_hash(session, table, [file.path for file in files])
    return None


def _difference(found_hash: str, record: PartitionRecord | None, files: Sequence[DataFile]) -> str | None:
    rows = sum(file.rows for file in files)
    if record is None:
        return f"stands in the lake with {rows:,} rows, but nothing is recorded of it"
    if not files and record.row_count:
        return f"is recorded with {record.row_count:,} rows, but is not in the lake"
    if found_hash != record.content_hash:
        return (
            f"is recorded with content hash {record.content_hash} and {record.row_count:,} rows, but the lake's files "
            f"give {found_hash} and {rows:,} rows"
        )
    return None
