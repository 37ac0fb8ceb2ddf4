"""A disk that fails at the n-th call, for every n: never a false acknowledgement, and the right end of the writer."""

import shutil
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from billing_pipeline.errors import QueueFailedError
from billing_pipeline_tests.ingest.power_loss.apsw_connection import ApswConnection, connect_through
from billing_pipeline_tests.ingest.power_loss.recorded_disk import RecordedDisk
from billing_pipeline_tests.ingest.power_loss.recorded_run import (
    RecordedRun,
    checkpoints_often,
    try_boundaries,
)
from billing_pipeline_tests.ingest.power_loss.recording_vfs import Fault, recording

GROUPS = [1, 2, 1, 1, 1]
SIZES = [50, 9_000, 30_000]


def fault_run(folder: Path, fault: Fault) -> RecordedRun:
    folder.mkdir()
    run = RecordedRun(folder, RecordedDisk())
    with recording(run.disk, fault) as vfs, checkpoints_often():
        run.write(connect_through(vfs.vfs_name), GROUPS, SIZES)
    return run


def calls(tmp_path: Path, kind: str) -> int:
    """How many calls of the kind a run without a fault makes."""
    fault = Fault(kind, first=1_000_000)
    run = fault_run(tmp_path / "clean", fault)
    assert len(run.acknowledged()) == len(run.sent)
    assert run.lost(run.folder) == 0
    return fault.calls


def each_fault(
    tmp_path: Path, kind: str, code: int, check: Callable[[RecordedRun], None], times: int, every: int
) -> int:
    """Let each call of a run fail, one run for each; whatever was acknowledged is there afterwards."""
    places = range(0, calls(tmp_path, kind), every)
    for first in places:
        folder = tmp_path / f"{kind} {first}"
        run = fault_run(folder, Fault(kind, first, code, times))
        check(run)
        assert run.lost(folder) == 0, f"{kind} {first}"
        shutil.rmtree(folder)
    print(f"{kind} {code}: {len(places)} faults, 0 lost")  # noqa: T201
    return len(places)


def last_acknowledged(run: RecordedRun) -> bool:
    """Whether the last batch was acknowledged, so that the writer has gone on."""
    return run.sent[-1] in run.acknowledged().values()


def fill_the_disk(tmp_path: Path, times: int, every: int) -> None:
    refused = 0

    def check(run: RecordedRun) -> None:
        nonlocal refused
        assert not run.failures
        assert all("SQLITE_FULL" in str(error) for error in run.errors)
        assert len(run.acknowledged()) + len(run.errors) >= len(run.sent)
        refused += bool(run.errors)
        assert last_acknowledged(run) or run.errors

    count = each_fault(tmp_path, "write", apsw.SQLITE_FULL, check, times, every)
    assert 0 < refused < count


@pytest.mark.parametrize("times", [1, 2])
def test_a_full_disk_refuses_what_it_does_not_hold_and_the_writer_goes_on(tmp_path: Path, times: int) -> None:
    fill_the_disk(tmp_path, times, every=5)


@pytest.mark.torture
@pytest.mark.parametrize("times", [1, 2, 3, 10])
def test_a_disk_that_is_full_at_any_write_costs_only_what_it_refuses(tmp_path: Path, times: int) -> None:
    fill_the_disk(tmp_path, times, every=1)


def test_a_full_disk_in_the_middle_of_a_run_costs_only_the_requests_it_refused(tmp_path: Path) -> None:
    """The fault strikes while the second group is written; later groups get the offsets that it did not use."""
    clean = Fault("write", first=1_000_000)
    run = fault_run(tmp_path / "clean", clean)
    before_second = writes_before(run, acknowledged=1)
    run = fault_run(tmp_path / "full", Fault("write", before_second, apsw.SQLITE_FULL))
    assert len(run.errors) == 2
    assert sorted(run.acknowledged()) == [0, 2, 4, 6]
    assert last_acknowledged(run)
    assert run.lost(run.folder) == 0


def test_what_is_acknowledged_after_the_disk_was_full_outlasts_a_loss_of_power(tmp_path: Path) -> None:
    """The remains of the refused write lie where later batches are written."""
    before_second = writes_before(fault_run(tmp_path / "clean", Fault()), acknowledged=1)
    states = 0
    for first in (before_second, before_second + 3, before_second + 12):
        run = fault_run(tmp_path / f"full {first}", Fault("write", first, apsw.SQLITE_FULL))
        assert run.errors
        figures = try_boundaries(run, tmp_path, seeds=0, from_step=first, every=13)
        assert figures.lost == 0
        states += figures.states
    print(f"power lost after a full disk: {states} states of the disk, 0 lost")  # noqa: T201


def writes_before(run: RecordedRun, acknowledged: int) -> int:
    """The writes up to the acknowledgement of so many batches."""
    said = [place for place, step in enumerate(run.disk.steps) if step.kind == "acknowledged"]
    return sum(step.kind == "write" for step in run.disk.steps[: said[acknowledged - 1]])


def fail_the_disk(tmp_path: Path, kind: str, code: int, every: int) -> None:
    failed = 0

    def check(run: RecordedRun) -> None:
        nonlocal failed
        assert len(run.failures) == 1 if kind == "sync" else len(run.failures) <= 1
        if run.failures:
            failed += 1
            # Nobody was told, where it was the closing checkpoint that failed; else nobody was acknowledged any more.
            told = any(isinstance(error, QueueFailedError) for error in run.errors)
            assert told != last_acknowledged(run)

    count = each_fault(tmp_path, kind, code, check, 1, every)
    assert 0 < failed <= count


@pytest.mark.parametrize(
    ("kind", "code", "every"),
    [("sync", apsw.SQLITE_IOERR_FSYNC, 1), ("write", apsw.SQLITE_IOERR_WRITE, 5)],
)
def test_after_a_failed_sync_or_commit_nothing_more_is_acknowledged(
    tmp_path: Path, kind: str, code: int, every: int
) -> None:
    fail_the_disk(tmp_path, kind, code, every)


@pytest.mark.torture
def test_after_a_commit_that_failed_at_any_write_nothing_more_is_acknowledged(tmp_path: Path) -> None:
    fail_the_disk(tmp_path, "write", apsw.SQLITE_IOERR_WRITE, every=1)


def died_of_failed_sync(
    tmp_path: Path, first: int, *, killed: bool, writes_again: bool = True
) -> tuple[RecordedRun, int]:
    """A run in which a sync fails and the process is started again, and the place of the restart among the steps.

    Killed, the process neither closes nor checkpoints: only its files are left, as the page cache has them.
    """
    folder, restarted = tmp_path / f"sync {first}", tmp_path / f"restarted {first}"
    folder.mkdir()
    run = RecordedRun(folder, RecordedDisk())
    fault, opened = Fault("sync", first, apsw.SQLITE_IOERR_FSYNC), list[ApswConnection]()
    with recording(run.disk, fault, writes_again=writes_again) as vfs, checkpoints_often():
        run.write(connect_through(vfs.vfs_name, closes=not killed, opened=opened), GROUPS, SIZES)
        restarted.mkdir()
        for name in run.disk.names.keys() & {file.name for file in folder.iterdir()}:
            shutil.copy(folder / name, restarted / name)
        run.disk.paused = True
        for connection in opened:
            connection.end()
        run.disk.paused = False
        run.folder = restarted
        place = len(run.disk.steps)
        run.write(connect_through(vfs.vfs_name), [1, 1], SIZES)
    assert last_acknowledged(run)
    return run, place


def search_restarts(tmp_path: Path, *, killed: bool, seeds: int, every: int) -> None:
    states = lost = 0
    count = calls(tmp_path, "sync")
    for first in range(count):
        run, place = died_of_failed_sync(tmp_path, first, killed=killed)
        figures = try_boundaries(run, tmp_path, seeds=seeds, from_step=place + first % every, every=every)
        states, lost = states + figures.states, lost + figures.lost
    how = "killed" if killed else "stopped"
    print(f"{how} after each of {count} syncs failed: {states} states of the disk, {lost} lost")  # noqa: T201
    assert lost == 0


@pytest.mark.parametrize("killed", [True, False])
def test_what_a_failed_sync_left_in_doubt_is_written_again_before_anything_builds_on_it(
    tmp_path: Path, killed: bool
) -> None:
    """A writer ends with a failed sync and is started again; the power goes at any moment after that.

    The disk has taken the pages of the failed sync for written and never writes them of its own accord, as Linux does.
    """
    search_restarts(tmp_path, killed=killed, seeds=0, every=17)


def test_were_it_not_written_again_the_same_search_would_find_lost_batches(tmp_path: Path) -> None:
    """So that the search is known to see what it looks for."""

    def loses(first: int) -> bool:
        run, place = died_of_failed_sync(tmp_path, first, killed=True, writes_again=False)
        return try_boundaries(run, tmp_path, seeds=0, from_step=place + first % 17, every=17).lost > 0

    assert any(map(loses, range(calls(tmp_path, "sync"))))


@pytest.mark.torture
@pytest.mark.parametrize("killed", [True, False])
def test_nothing_is_lost_after_a_failed_sync_at_any_boundary_and_in_random_states(
    tmp_path: Path, killed: bool
) -> None:
    search_restarts(tmp_path, killed=killed, seeds=10, every=1)
