"""`billing replay`: the partitions of a closed day, computed again from the raw table, beside those that were billed.

A closed partition is a function of the log up to its close. So computed again, in a scratch place over the lake, it
must be the same, row for row; where it is not, something else has changed it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from billing_pipeline.audit.recorded_hashes import content_hash
from billing_pipeline.audit.report import Progress
from billing_pipeline.audit.row_difference import RowDifference, row_difference
from billing_pipeline.control.partition_records import PartitionRecord, latest
from billing_pipeline.control.rule_book_uses import recorded
from billing_pipeline.errors import EngineFileError, ReplayRefusedError
from billing_pipeline.guardrails.anomalies.report import report_anomalies
from billing_pipeline.invoicing.lines.rating_stage import list_invoice_lines, rate
from billing_pipeline.lake.engine import Session
from billing_pipeline.lake.iceberg import DataFile
from billing_pipeline.lake.overlay import OverlaidLake
from billing_pipeline.metering.control_records import separate_registry_changes
from billing_pipeline.metering.identity import identify
from billing_pipeline.metering.rollups import list_unmetered, roll_up, versions_found
from billing_pipeline.metering.stage import Workshop, receipt_days_for
from billing_pipeline.metering.validation import validate
from billing_pipeline.schemas.table import PartitionKey, Table
from billing_pipeline.schemas.tables import (
    ANOMALY_REPORT,
    BY_NAME,
    RATED_CHARGES,
    USAGE_ROLLUPS,
    VALID_USAGE_EVENTS,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine


@dataclass(frozen=True)
class Replayed:
    """One partition: as it was recorded, as it stands in the lake, and as it comes out now.

    `stored_hash` is None where its files cannot be read. `rows` tells which rows differ; None where none can.
    """

    table: str
    key: PartitionKey
    recorded_hash: str | None
    stored_hash: str | None
    replayed_hash: str
    stored_rows: int
    replayed_rows: int
    rows: RowDifference | None
    files: tuple[str, ...]

    @property
    def differences(self) -> list[str]:
        """What is not as it was billed, a sentence each; none where all three agree."""
        found = []
        if self.stored_hash is None:
            found.append("its files cannot be read: restore them, or make the partition again")
        elif self.rows is not None and self.rows:
            found.append(
                f"{self.rows.missing:,} rows come out of the log and are missing in the lake, {self.rows.unexpected:,} "
                "stand in the lake and do not come out: make the partition again, and look at what was invoiced from it"
            )
        if self.recorded_hash is None:
            found.append("nothing is recorded of it: it was not made by a run that ended, make it again")
        elif self.stored_hash is not None and self.stored_hash != self.recorded_hash:
            found.append(
                f"the content hash recorded when it was made is {self.recorded_hash}, but the lake's files give "
                f"{self.stored_hash}: it was changed after it was recorded, or its record was"
            )
        return found


def replay(
    workshop: Workshop,
    control: "Engine",
    scratch: OverlaidLake,
    day: date,
    *,
    version: str | None,
    rows_most: int,
    told: Progress,
) -> Iterator[Replayed]:
    """Compute the closed partitions of a day again and compare them, one after the other.

    Args:
        workshop: the lake, the rules and the registry; its engine's scratch should lie apart from the home.
        control: the control database, for what was recorded.
        scratch: over the workshop's lake; what is computed lies there.
        day: as receipt day, as posting day and as the end of invoice periods.
        version: only the rollups of this rule version; None for all there is.
        rows_most: so many differing rows of each kind are listed.
        told: the progress.

    Raises:
        ReplayRefusedError: the day is open, or nothing of that version stands in it.
        RuleBookChangedError: a rule book is not as it was used.
    """
    records = {name: latest(control, name) for name in BY_NAME}
    _refuse_open(day, records[VALID_USAGE_EVENTS.name])
    recorded(control, {book.version: book.content_hash for book in workshop.books})
    over = replace(workshop, lake=scratch)
    _compute(over, control, day, records=records, version=version, told=told)
    keys = [
        (BY_NAME[name], key)
        for name, partitions in scratch.replaced.items()
        for key in partitions
        if key.day == day and version in (None, key.rule_version)
    ]
    order = list(BY_NAME)
    for done, (table, key) in enumerate(
        sorted(keys, key=lambda each: (order.index(each[0].name), str(each[1])))
    ):
        told(f"comparing {table.name} {key}", done, len(keys))
        with workshop.engine.session() as session:
            record = records[table.name].get(str(key))
            yield _compare(session, scratch, table, key, record, rows_most=rows_most)


def _refuse_open(day: date, made: dict[str, PartitionRecord]) -> None:
    record = made.get(day.isoformat())
    if record is None:
        raise ReplayRefusedError(
            f"nothing has been made of {day} yet, so there is nothing to compare; close it with "
            f"`billing close --through {day}`"
        )
    if not record.closed:
        raise ReplayRefusedError(
            f"{day} is open: records may still come into it, so what it held has no final form; close it with "
            f"`billing close --through {day}` and replay it then"
        )


def _compute(
    over: Workshop,
    control: "Engine",
    day: date,
    *,
    records: dict[str, dict[str, PartitionRecord]],
    version: str | None,
    told: Progress,
) -> None:
    receipt_days = receipt_days_for(over, [day])
    stages = 5
    told("registry changes", 0, stages)
    separate_registry_changes(over, receipt_days)
    told("valid and rejected records", 1, stages)
    validate(over, receipt_days)
    told("identity and corrections", 2, stages)
    identify(over, receipt_days)
    told("rollups", 3, stages)
    keys = _rollup_keys(over, day, records[USAGE_ROLLUPS.name], version)
    if keys:
        roll_up(over, keys)
    if version is not None:
        return
    list_unmetered(over, [day])
    if day.isoformat() in records[ANOMALY_REPORT.name]:
        report_anomalies(over, control, [day])
    if day.isoformat() in records[RATED_CHARGES.name]:
        told("charges and invoice lines", 4, stages)
        rate(over, [day])
        list_invoice_lines(over, [day])


def _rollup_keys(
    over: Workshop, day: date, records: dict[str, PartitionRecord], version: str | None
) -> list[PartitionKey]:
    """What the events ask for, what is recorded and what stands in the lake: one of them alone would hide something."""
    found = set(versions_found(over, [day]))
    found |= {key for key in map(PartitionKey.of, records) if key.day == day}
    found |= {file.key for file in over.lake.files(USAGE_ROLLUPS, [day])}
    if version is None:
        return sorted(found, key=str)
    chosen = [key for key in found if key.rule_version == version]
    if not chosen:
        there = ", ".join(sorted(str(key.rule_version) for key in found)) or "none"
        raise ReplayRefusedError(
            f"{day} has no rollups of rule version {version!r}; the versions found in it: {there}"
        )
    return chosen


def _compare(
    session: Session,
    scratch: OverlaidLake,
    table: Table,
    key: PartitionKey,
    record: PartitionRecord | None,
    *,
    rows_most: int,
) -> Replayed:
    made = scratch.replaced[table.name][key]
    below = scratch.below.files(table, [key.day]) if scratch.below.has(table) else []
    stored = [file for file in below if file.key == key]
    replayed_hash = content_hash(session, table, _paths(made))
    stored_hash: str | None = None
    rows: RowDifference | None = None
    try:
        stored_hash = content_hash(session, table, _paths(stored))
        if stored_hash != replayed_hash:
            rows = row_difference(session, table, _paths(made), _paths(stored), rows_most)
    except (EngineFileError, OSError):
        stored_hash = None
    return Replayed(
        table=table.name,
        key=key,
        recorded_hash=None if record is None else record.content_hash,
        stored_hash=stored_hash,
        replayed_hash=replayed_hash,
        stored_rows=sum(file.rows for file in stored),
        replayed_rows=sum(file.rows for file in made),
        rows=rows,
        files=tuple(_paths(made)),
    )


def _paths(files: Sequence[DataFile]) -> list[str]:
    return [file.path for file in files]
