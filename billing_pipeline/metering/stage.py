"""What every stage of the pipeline needs, and what it tells when it is done."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from billing_pipeline.contract.registry import RegistryChange
from billing_pipeline.lake.content_hash import file_hash, row_hash
from billing_pipeline.lake.engine import Engine, Session
from billing_pipeline.lake.iceberg import Lake
from billing_pipeline.metering.calendar import Calendar
from billing_pipeline.rating.rule_book import RuleBooks
from billing_pipeline.schemas.table import PartitionKey, Table

SQL = Path(__file__).parent / "sql"
STRETCH_OFFSETS = 1_000_000
"""Offsets in one file of a table in the order of the log."""


@dataclass(frozen=True)
class Workshop:
    """The lake, a compute engine, the rules and the registry's seed: all that a stage works with."""

    lake: Lake
    engine: Engine
    books: RuleBooks
    calendar: Calendar
    seed: tuple[RegistryChange, ...] = ()


@dataclass(frozen=True)
class Partition:
    """One partition as a stage left it."""

    table: str
    key: PartitionKey
    rows: int
    content_hash: str
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class StageResult:
    """The partitions a stage wrote, and the snapshots it read and wrote, by table."""

    partitions: tuple[Partition, ...]
    snapshots_read: dict[str, int | None]
    snapshots_written: dict[str, int | None]

    def then(self, later: "StageResult") -> "StageResult":
        """This and what was done after it, as one."""
        return StageResult(
            (*self.partitions, *later.partitions),
            self.snapshots_read | later.snapshots_read,
            self.snapshots_written | later.snapshots_written,
        )


@dataclass
class Draft:
    """Files of one table that wait for their common commit.

    All partitions of a run are committed together: a reader sees all of them or none.
    """

    workshop: Workshop
    table: Table
    files: list[Path] = field(default_factory=list)
    partitions: list[Partition] = field(default_factory=list)

    def write(
        self,
        session: Session,
        relation: str,
        key: PartitionKey,
        where: str = "true",
        counts: dict[str, int] | None = None,
        *,
        offsets_of: str | None = None,
    ) -> list[str]:
        """Write one partition from a relation; returns the paths written (none for an empty partition).

        With `offsets_of`, a relation whose offsets span those to be written, there is a file per million offsets:
        however long the day is, its rows are sorted in memory.
        """
        paths: list[str] = []
        rows = 0
        for stretch in ["true"] if offsets_of is None else _stretches(session, offsets_of):
            path = self.workshop.lake.new_file(self.table)
            written = session.write(self.table, relation, path, f"({where}) AND {stretch}")
            if written is not None:
                paths.append(str(written.path))
                rows += written.rows
        hashed = row_hash(session, self.table, paths) if self.table.hash_rows else file_hash(map(Path, paths))
        self.files += map(Path, paths)
        self.partitions.append(Partition(self.table.name, key, rows, hashed, counts or {}))
        return paths

    def write_rows(self, session: Session, rows: Sequence[Sequence[object]], key: PartitionKey) -> None:
        """Write one partition from rows in the order of the table's columns."""
        session.load("_rows", self.table.columns, rows)
        self.write(session, "_rows", key)

    def commit(self) -> int | None:
        """Replace the drafted partitions in the lake; returns the new snapshot."""
        keys = [partition.key for partition in self.partitions]
        return self.workshop.lake.replace(self.table, keys, self.files).written_snapshot


def finish(drafts: Iterable[Draft], read: dict[str, int | None]) -> StageResult:
    """Commit the drafts in order and say what was done."""
    partitions: list[Partition] = []
    written: dict[str, int | None] = {}
    for draft in drafts:
        written[draft.table.name] = draft.commit()
        partitions += draft.partitions
    return StageResult(tuple(partitions), read, written)


def _stretches(session: Session, relation: str) -> list[str]:
    """Conditions that cut the offsets of a relation where every run cuts them: at multiples of the stretch."""
    ((first, last),) = session.rows(f"SELECT min(queue_offset), max(queue_offset) FROM {relation}")
    if not isinstance(first, int) or not isinstance(last, int):
        return []
    starts = range(first // STRETCH_OFFSETS * STRETCH_OFFSETS, last + 1, STRETCH_OFFSETS)
    return [f"queue_offset >= {start} AND queue_offset < {start + STRETCH_OFFSETS}" for start in starts]


def scan(
    workshop: Workshop, session: Session, name: str, table: Table, days: Iterable[date] | None = None
) -> list[str]:
    """Name a relation over some days of a table (all of them by default); returns its files."""
    paths = [file.path for file in workshop.lake.files(table, days)]
    session.scan(name, table, paths)
    return paths


def days_of(keys: Sequence[PartitionKey]) -> list[date]:
    """The days of some partitions, sorted, each once."""
    return sorted({key.day for key in keys})


def receipt_days_for(workshop: Workshop, posting_days: Sequence[date]) -> list[date]:
    """The receipt days that can hold usage of these posting days."""
    back = workshop.calendar.lookback_days()
    return sorted({day - timedelta(days=before) for day in posting_days for before in range(back + 1)})
