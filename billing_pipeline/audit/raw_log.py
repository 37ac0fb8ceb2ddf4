"""Whether the raw table is what was landed: only appended to, file by file and byte by byte, every offset once.

The chain of landings says which files there are, with the hash of each, and which offsets they hold. A file that is
added, removed or changed, and a link that is, does not fit it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from billing_pipeline.audit.report import Check, DayRange, Progress, counted
from billing_pipeline.control.landings import LandedFile, Landing, recorded_landings
from billing_pipeline.ingest.landing_chain import START, chain_of, landed_file, landing_of
from billing_pipeline.lake.iceberg import DataFile, Snapshot
from billing_pipeline.metering.stage import Workshop
from billing_pipeline.schemas.tables import RAW_USAGE_EVENTS

if TYPE_CHECKING:
    from sqlalchemy import Engine

RESTORE = "restore the lake from a backup, or land it anew from the queue (docs/operations.md, Backup)"
ROWS_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class LandedLog:
    """The landings of the lake as it is, oldest first, and its retained snapshots."""

    landings: tuple[Landing, ...]
    snapshots: tuple[Snapshot, ...]
    unrecorded: int
    """How many of the landings a killed process left to the next landing to record."""


def landed_log(workshop: Workshop, control: "Engine") -> LandedLog:
    """The landings since the lake was landed from its first offset on, in the order in which they carry on."""
    recorded = recorded_landings(control)
    roots = [place for place, landing in enumerate(recorded) if landing.previous_chain == START]
    landings = recorded[roots[-1] :] if roots else recorded
    snapshots = workshop.lake.snapshots(RAW_USAGE_EVENTS)
    chain = landings[-1].chain if landings else START
    unrecorded = 0
    for snapshot in snapshots:
        landing = landing_of(snapshot.snapshot_id, snapshot.properties)
        if landing is not None and landing.previous_chain == chain:
            landings, chain, unrecorded = [*landings, landing], landing.chain, unrecorded + 1
    return LandedLog(tuple(landings), tuple(snapshots), unrecorded)


def shape_checks(log: LandedLog, files: Sequence[DataFile]) -> list[Check]:
    """Whether the table only grew, as far as snapshots, links and names say it: no file is read."""
    return [_snapshots(log), _chain(log), _file_set(log, files)]


def raw_checks(workshop: Workshop, control: "Engine", days: DayRange, told: Progress) -> Iterator[Check]:
    """The checks of the raw table. Chain and file set are looked at whole, bytes and offsets of the days."""
    log, files = landed_log(workshop, control), workshop.lake.files(RAW_USAGE_EVENTS)
    yield from shape_checks(log, files)
    chosen = {Path(file.path).name for file in files if file.key.day in days}
    landings = [each for each in log.landings if any(file.name in chosen for file in each.files)]
    paths = {Path(file.path).name: file for file in files}
    content = Check("raw: bytes of files")
    with content.going_on():
        sound = _bytes(content, landings, paths, told)
        yield content
        yield _offsets(workshop, [each for each in landings if _is_sound(each, sound)], paths, told)
        return
    yield content


def _snapshots(log: LandedLog) -> Check:
    check = Check("raw: snapshots", counted(len(log.snapshots), "retained snapshot"))
    known = {landing.snapshot_id for landing in log.landings}
    begins = log.landings[0].snapshot_id if log.landings and log.landings[0].found else None
    ids = [str(snapshot.snapshot_id) for snapshot in log.snapshots]
    covered = set(ids[: ids.index(begins) + 1]) if begins in ids else set()
    for snapshot in log.snapshots:
        name = f"snapshot {snapshot.snapshot_id}"
        if snapshot.operation != "append":
            check.faults.append(f"{name} did not append but {snapshot.operation}: {RESTORE}")
        if str(snapshot.snapshot_id) not in known | covered:
            check.faults.append(f"{name} is no landing's: something else has written the table; {RESTORE}")
    return check


def _chain(log: LandedLog) -> Check:
    check = Check("raw: chain of landings", counted(len(log.landings), "landing"))
    if log.unrecorded:
        check.looked_at += f", {log.unrecorded} of them recorded with the snapshot alone"
    if log.snapshots and not log.landings:
        check.faults.append(
            "no landing is recorded: the lake was made before there was a chain, or another control database belongs "
            "to it; restore that one, or land once (`billing close`) to begin the chain with what there is"
        )
    by_snapshot = {str(each.snapshot_id): each for each in log.snapshots}
    chain, offset = START, 0
    for landing in log.landings:
        name = f"landing of offsets {landing.first_offset:,} to {landing.next_offset - 1:,}"
        made = chain_of(landing.previous_chain, landing.first_offset, landing.next_offset, landing.files)
        if made != landing.chain:
            check.faults.append(f"{name}: its record gives another hash than it carries; {_RESTORE_CONTROL}")
        if landing.previous_chain != chain:
            check.faults.append(f"{name} does not carry on the landing before it; {_RESTORE_CONTROL}")
        if landing.first_offset != offset:
            check.faults.append(f"{name}: the landing before it ends at offset {offset:,}; {RESTORE}")
        snapshot = by_snapshot.get(landing.snapshot_id)
        carried = None if snapshot is None else landing_of(snapshot.snapshot_id, snapshot.properties)
        if carried is not None and carried != landing and not landing.found:
            check.faults.append(f"{name}: its record and its snapshot differ; {_RESTORE_CONTROL}")
        chain, offset = landing.chain, landing.next_offset
    if log.landings and log.landings[-1].snapshot_id not in by_snapshot:
        check.faults.append(
            f"the last landing, up to offset {offset:,}, is not in the table: the lake is older than the control "
            f"database; {RESTORE}"
        )
    return check


_RESTORE_CONTROL = "the control database was changed: restore it from a backup"


def _file_set(log: LandedLog, files: Sequence[DataFile]) -> Check:
    check = Check("raw: set of files", counted(len(files), "file"))
    chained = {file.name: landing for landing in log.landings for file in landing.files}
    seen: set[str] = set()
    for path in (Path(file.path) for file in files):
        if path.name not in chained:
            check.faults.append(f"{path} is in the table, but no landing wrote it: {RESTORE}")
        if path.name in seen:
            check.faults.append(f"{path} is in the table twice: {RESTORE}")
        seen.add(path.name)
    check.faults += [
        f"{name}, landed with offsets {landing.first_offset:,} to {landing.next_offset - 1:,}, is not in the table "
        f"any more: {RESTORE}"
        for name, landing in chained.items()
        if name not in seen
    ]
    return check


def _bytes(
    check: Check, landings: Sequence[Landing], paths: dict[str, DataFile], told: Progress
) -> set[LandedFile]:
    """Hash every file of some landings; returns those that are as they were landed."""
    files = [file for landing in landings for file in landing.files if file.name in paths]
    check.looked_at = f"{counted(len(files), 'file')}, SHA-256 each"
    sound = set()
    for done, file in enumerate(files):
        told(check.name, done, len(files))
        path = Path(paths[file.name].path)
        if not path.is_file():
            check.faults.append(f"{path} is missing on the disk: {RESTORE}")
        elif landed_file(path) != file:
            check.faults.append(f"{path} is not as it was landed, its bytes have another SHA-256: {RESTORE}")
        else:
            sound.add(file)
    return sound


def _is_sound(landing: Landing, sound: set[LandedFile]) -> bool:
    return all(file in sound for file in landing.files)


def _offsets(
    workshop: Workshop, landings: Sequence[Landing], paths: dict[str, DataFile], told: Progress
) -> Check:
    """Every offset of the landings stands in their files exactly once."""
    total = sum(landing.next_offset - landing.first_offset for landing in landings)
    check = Check("raw: offsets", counted(total, "offset"))
    with check.going_on():
        done = 0
        for group in _groups(landings):
            told(check.name, done, total)
            first, end = group[0].first_offset, group[-1].next_offset
            scanned = [paths[file.name].path for landing in group for file in landing.files]
            with workshop.engine.session() as session:
                session.scan("landed", RAW_USAGE_EVENTS, scanned)
                ((count, distinct, least, most),) = session.rows(
                    "SELECT count(*), count(DISTINCT queue_offset), min(queue_offset), max(queue_offset) FROM landed"
                )
            if (count, distinct, least, most) != (end - first, end - first, first, end - 1):
                check.faults.append(
                    f"offsets {first:,} to {end - 1:,}: {count:,} rows with {distinct:,} different offsets from "
                    f"{least:,} to {most:,}; there must be each once: {RESTORE}"
                )
            done += end - first
    return check


def _groups(landings: Iterable[Landing]) -> Iterator[list[Landing]]:
    """Contiguous landings of about a million offsets: small ones together, for the sake of the number of queries."""
    group: list[Landing] = []
    for landing in landings:
        if group and (
            landing.first_offset != group[-1].next_offset
            or landing.next_offset - group[0].first_offset > ROWS_AT_ONCE
        ):
            yield group
            group = []
        group.append(landing)
    if group:
        yield group
