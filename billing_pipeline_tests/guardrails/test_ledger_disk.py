"""The ledger on a disk that fails, and on one that loses its power: what was answered is there, and it goes on."""

import errno
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import apsw
import pytest

from billing_pipeline.guardrails.store import sqlite_store
from billing_pipeline.guardrails.store.sqlite_journal import HEADER_BYTES, void_journal
from billing_pipeline_tests.guardrails.recorded_ledger import FILE_NAME, RecordedLedger
from billing_pipeline_tests.ingest.power_loss.apsw_connection import connect_through
from billing_pipeline_tests.ingest.power_loss.recording_vfs import Fault, recording

GROUPS = [1, 3]
LONG_GROUPS = [1, 5, 2, 8]


@dataclass
class Figures:
    """What a search found."""

    boundaries: int = 0
    states: int = 0
    lost: int = 0


def run_through(
    folder: Path,
    migrated: Path,
    fault: Fault,
    groups: list[int],
    rewrite: Callable[[str], str] = str,
    *,
    voids: bool = True,
) -> RecordedLedger:
    """A run on a disk that fails as told; without what makes a left journal void where `voids` is not set."""
    run = RecordedLedger(folder, migrated)

    def void_recorded(database: Path) -> None:
        inode = run.disk.names.get(f"{database.name}-journal")
        if inode is None or not voids:
            return
        void_journal(database)
        for step in (("write", 0, bytes(HEADER_BYTES)), ("truncate", 0, b"")):
            run.disk.record(step[0], inode=inode, offset=step[1], data=step[2])
            if fault.strikes("sync"):
                run.disk.record("failed sync", inode=inode)
                raise OSError(errno.EIO, "the disk failed")
            run.disk.sync(inode)

    with recording(run.disk, fault) as vfs, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_store, "void_journal", void_recorded)
        run.write(connect_through(vfs.vfs_name, rewrite), groups)
    return run


def lose_power(run: RecordedLedger, scratch: Path, *, seeds: int, every: int, from_step: int = 0) -> Figures:
    """Cut the power at boundaries between steps; from each state that the disk may have kept, ask everything again."""
    figures = Figures()
    seen: set[int] = set()
    first = next(place for place, step in enumerate(run.disk.steps) if step.kind == "sync folder") + 1
    for cut in range(max(first, from_step), len(run.disk.steps) + 1, every):
        figures.boundaries += 1
        promises = sum(step.kind == "acknowledged" for step in run.disk.steps[:cut])
        for survivors in run.disk.survivors(cut, seeds):
            image = run.disk.image(cut, survivors)
            key = hash((promises, *sorted(image.items())))
            if key in seen:
                continue
            seen.add(key)
            figures.states += 1
            folder = scratch / "recovered"
            folder.mkdir()
            for name, content in image.items():
                (folder / name).write_bytes(content)
            figures.lost += run.lost(folder, cut)
            shutil.rmtree(folder)
    return figures


def tell(what: str, run: RecordedLedger, figures: Figures) -> None:
    print(  # noqa: T201 - the figures are the point
        f"{what}: {figures.boundaries} boundaries, {figures.states} states of the disk, {len(run.said)} answers, "
        f"{figures.lost} lost"
    )


def test_no_answer_is_lost_whenever_the_power_goes(tmp_path: Path, migrated_sqlite: Path) -> None:
    """Every request asked again gets the answer it had, and the books are sound."""
    run = run_through(tmp_path / "run", migrated_sqlite, Fault(), GROUPS)
    assert not run.errors
    figures = lose_power(run, tmp_path, seeds=1, every=19)
    tell("power lost", run, figures)
    assert figures.lost == 0


def test_were_the_journal_deleted_the_same_search_would_find_lost_answers(
    tmp_path: Path, migrated_sqlite: Path
) -> None:
    """So that the search is known to see what it looks for."""

    def rewrite(sql: str) -> str:
        return sql.replace("TRUNCATE", "DELETE")

    run = run_through(tmp_path / "run", migrated_sqlite, Fault(), GROUPS, rewrite)
    figures = lose_power(run, tmp_path, seeds=0, every=19)
    tell("power lost, journal deleted", run, figures)
    assert figures.lost > 0


@pytest.mark.torture
def test_no_answer_is_lost_in_a_long_run_and_many_random_states(
    tmp_path: Path, migrated_sqlite: Path
) -> None:
    run = run_through(tmp_path / "run", migrated_sqlite, Fault(), LONG_GROUPS)
    figures = lose_power(run, tmp_path, seeds=2, every=3)
    tell("power lost, long", run, figures)
    assert figures.lost == 0


def fail_the_disk(tmp_path: Path, migrated: Path, fault: Fault, groups: list[int], *, every: int) -> None:
    """Let each write or sync of a run fail once, one run for each."""
    clean = Fault(fault.kind, first=1_000_000)
    assert not run_through(tmp_path / "clean", migrated, clean, groups).errors
    refused = lost = 0
    places = range(0, clean.calls, every)
    for first in places:
        folder = tmp_path / f"{fault.kind} {first}"
        run = run_through(folder, migrated, Fault(fault.kind, first, fault.code, fault.times), groups)
        refused += len(run.errors)
        lost += run.lost(folder)
        shutil.rmtree(folder)
    print(  # noqa: T201 - as above
        f"{fault.kind} {fault.code}: {len(places)} faults, {refused} requests refused, {lost} answers lost"
    )
    assert lost == 0
    assert refused > 0


FAULTS = [
    Fault("write", code=apsw.SQLITE_FULL),
    Fault("write", code=apsw.SQLITE_FULL, times=4),
    Fault("write", code=apsw.SQLITE_IOERR_WRITE),
    Fault("sync", code=apsw.SQLITE_IOERR_FSYNC),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_disk_that_is_full_or_fails_costs_only_what_is_refused(
    tmp_path: Path, migrated_sqlite: Path, fault: Fault
) -> None:
    """What was answered is there, what was refused can be asked again, and the writer goes on by itself."""
    fail_the_disk(tmp_path, migrated_sqlite, fault, GROUPS, every=13 if fault.kind == "write" else 2)


@pytest.mark.torture
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_disk_that_is_full_or_fails_at_any_call_costs_only_what_is_refused(
    tmp_path: Path, migrated_sqlite: Path, fault: Fault
) -> None:
    fail_the_disk(tmp_path, migrated_sqlite, fault, LONG_GROUPS, every=1)


def lose_power_after_failed_sync(tmp_path: Path, migrated: Path, *, seeds: int, every: int) -> None:
    """The disk has taken the pages of the failed sync for written and never writes them by itself, as Linux does."""
    clean = Fault("sync", first=1_000_000)
    run_through(tmp_path / "clean", migrated, clean, GROUPS)
    states = lost = 0
    for first in range(0, clean.calls, every):
        folder = tmp_path / f"sync {first}"
        run = run_through(folder, migrated, Fault("sync", first, apsw.SQLITE_IOERR_FSYNC), GROUPS)
        failed = next(place for place, step in enumerate(run.disk.steps) if step.kind == "failed sync")
        figures = lose_power(run, tmp_path, seeds=seeds, every=5 * every + 1, from_step=failed + 1)
        states, lost = states + figures.states, lost + figures.lost
    print(f"power lost after failed syncs: {states} states of the disk, {lost} answers lost")  # noqa: T201 - as above
    assert lost == 0


def test_what_is_answered_after_a_failed_sync_outlasts_a_loss_of_power(
    tmp_path: Path, migrated_sqlite: Path
) -> None:
    lose_power_after_failed_sync(tmp_path, migrated_sqlite, seeds=0, every=7)


@pytest.mark.torture
def test_what_is_answered_after_any_failed_sync_outlasts_a_loss_of_power(
    tmp_path: Path, migrated_sqlite: Path
) -> None:
    lose_power_after_failed_sync(tmp_path, migrated_sqlite, seeds=2, every=1)


def test_were_a_left_journal_not_made_void_the_same_search_would_find_damaged_files(
    tmp_path: Path, migrated_sqlite: Path
) -> None:
    """The fourth sync ends a transaction; what it fails to put on the disk is played back by the next loss of power."""
    fault = Fault("sync", first=3, code=apsw.SQLITE_IOERR_FSYNC)
    run = run_through(tmp_path / "run", migrated_sqlite, fault, GROUPS, voids=False)
    failed = next(place for place, step in enumerate(run.disk.steps) if step.kind == "failed sync")
    damaged = 0
    for cut in range(failed + 1, failed + 60, 6):
        for survivors in run.disk.survivors(cut, 2):
            folder = tmp_path / "recovered"
            folder.mkdir()
            for name, content in run.disk.image(cut, survivors).items():
                (folder / name).write_bytes(content)
            damaged += not is_sound(folder / FILE_NAME)
            shutil.rmtree(folder)
    assert damaged > 0


def is_sound(path: Path) -> bool:
    """Whether SQLite finds nothing wrong with a file."""
    with closing(sqlite3.connect(path)) as connection:
        try:
            found: tuple[str] = connection.execute("PRAGMA integrity_check").fetchone()
        except sqlite3.DatabaseError:
            return False
    return found == ("ok",)
