"""What is removed from the lake's folders: only what no retained snapshot reaches, and only by age."""

import os
from datetime import date
from pathlib import Path

import pytest

from billing_pipeline.lake import iceberg
from billing_pipeline.lake.duckdb_engine import DuckDBEngine, in_memory
from billing_pipeline.lake.iceberg import Lake
from billing_pipeline.lake.leftovers import LEFTOVER_AGE_SECONDS, remove_leftovers
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.schemas.tables import REGISTRY_CHANGES

KEY = PartitionKey(date(2026, 10, 1))
NOW = 2_000_000_000


def write(lake: Lake, scratch: Path) -> Path:
    path = lake.new_file(REGISTRY_CHANGES)
    row = (
        "2026-10-01",
        1,
        "2026-10-01 02:00:00Z",
        "customer",
        "acme",
        "register",
        "2026-10-01 00:00:00Z",
        "{}",
    )
    with DuckDBEngine(in_memory, 512, 1, scratch).session() as session:
        session.load("rows", REGISTRY_CHANGES.columns, [row])
        assert session.write(REGISTRY_CHANGES, "rows", path) is not None
    return path


def make_old(path: Path) -> None:
    then = NOW - LEFTOVER_AGE_SECONDS - 1
    os.utime(path, (then, then))


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def test_a_file_that_was_never_committed_goes_only_after_a_day(tmp_path: Path, scratch: Path) -> None:
    lake = Lake(tmp_path / "lake")
    orphan, fresh = write(lake, scratch), write(lake, scratch)
    make_old(orphan)
    os.utime(fresh, (NOW, NOW))
    assert remove_leftovers(lake, [REGISTRY_CHANGES], scratch, NOW) == 1
    assert not orphan.exists()
    assert fresh.exists()


def test_a_replaced_file_stays_while_a_retained_snapshot_reads_it(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(tmp_path / "lake")
    first = write(lake, scratch)
    make_old(first)
    lake.replace(REGISTRY_CHANGES, [KEY], [first])
    second = write(lake, scratch)
    os.utime(second, (NOW, NOW))
    lake.replace(REGISTRY_CHANGES, [KEY], [second])
    assert remove_leftovers(lake, [REGISTRY_CHANGES], scratch, NOW) == 0
    assert first.exists()

    monkeypatch.setattr(iceberg, "SNAPSHOTS_KEPT", 1)
    third = write(lake, scratch)
    lake.replace(REGISTRY_CHANGES, [KEY], [third])
    assert remove_leftovers(lake, [REGISTRY_CHANGES], scratch, NOW) == 1
    assert not first.exists()
    assert [file.path for file in lake.files(REGISTRY_CHANGES)] == [str(third)]


def test_scratch_that_a_killed_process_left_goes_after_a_day(tmp_path: Path, scratch: Path) -> None:
    left = scratch / "tmp-landing"
    left.mkdir()
    (left / "records.ndjson").write_text("{}")
    make_old(left)
    (scratch / "in-use").mkdir()
    os.utime(scratch / "in-use", (NOW, NOW))
    assert remove_leftovers(Lake(tmp_path / "lake"), [], scratch, NOW) == 1
    assert [path.name for path in scratch.iterdir()] == ["in-use"]
