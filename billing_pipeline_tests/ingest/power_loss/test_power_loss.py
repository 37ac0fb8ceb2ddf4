"""Loss of power at any moment: what is acknowledged is there afterwards, and the queue goes on."""

from pathlib import Path

import pytest

from billing_pipeline_tests.ingest.power_loss.apsw_connection import connect_through
from billing_pipeline_tests.ingest.power_loss.recorded_disk import RecordedDisk
from billing_pipeline_tests.ingest.power_loss.recorded_run import (
    Figures,
    RecordedRun,
    checkpoints_often,
    try_boundaries,
)
from billing_pipeline_tests.ingest.power_loss.recording_vfs import Fault, recording

SHORT_GROUPS = [1, 2, 1, 3, 1]
SIZES = [50, 9_000, 300, 30_000]


def recorded(folder: Path, groups: list[int], *, turns: int, synchronous: str = "FULL") -> RecordedRun:
    """A run in which so many writers follow one another."""
    folder.mkdir()
    run = RecordedRun(folder, RecordedDisk())

    def rewrite(sql: str) -> str:
        return f"PRAGMA synchronous = {synchronous}" if sql == "PRAGMA synchronous = FULL" else sql

    with recording(run.disk, Fault()) as vfs, checkpoints_often():
        for _ in range(turns):
            run.write(connect_through(vfs.vfs_name, rewrite), groups, SIZES)
    assert not run.errors
    assert len(run.acknowledged()) == len(run.sent) == turns * sum(groups)
    return run


def tell(what: str, figures: Figures) -> None:
    print(  # noqa: T201 - the figures are what the long form is run for
        f"{what}: {figures.boundaries} boundaries, {figures.states} states of the disk, {figures.acknowledged} batches "
        f"acknowledged, {figures.lost} lost in {figures.losing_states} states"
    )


def test_no_acknowledged_batch_is_lost_whenever_the_power_goes(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run", SHORT_GROUPS, turns=2)
    figures = try_boundaries(run, tmp_path, seeds=1, every=7)
    tell("synchronous FULL", figures)
    assert figures.lost == 0


def test_with_less_than_full_synchronisation_the_same_search_finds_lost_batches(tmp_path: Path) -> None:
    """So that the search is known to see what it looks for."""
    run = recorded(tmp_path / "run", SHORT_GROUPS, turns=1, synchronous="NORMAL")
    figures = try_boundaries(run, tmp_path, seeds=0, every=9)
    tell("synchronous NORMAL", figures)
    assert figures.lost > 0


@pytest.mark.torture
def test_no_acknowledged_batch_is_lost_in_long_runs_and_many_random_states(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run", [1, 4, 1, 2, 1, 8, 1, 3], turns=3)
    figures = try_boundaries(run, tmp_path, seeds=8)
    tell("synchronous FULL, long", figures)
    assert figures.lost == 0
