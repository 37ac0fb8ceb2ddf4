"""The chain of landings: each snapshot and its record carry the hash of all that was landed before it."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

import pytest

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.control.landings import LandedFile, Landing, recorded_landings
from billing_pipeline.errors import LandingChainError
from billing_pipeline.ingest import landing as landing_module
from billing_pipeline.ingest.landing_chain import START, chain_of, landing_of
from billing_pipeline.lake.iceberg import Commit, Lake
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.table import Table
from billing_pipeline.schemas.tables import RAW_USAGE_EVENTS

DAY = date(2026, 10, 5)
NOON = "2026-10-05T12:00:00Z"
Land = Callable[..., None]


@pytest.fixture
def land(
    pipeline: Pipeline, usage: Callable[..., LogRecord], receive: Callable[..., None]
) -> Callable[..., None]:
    """Receives and lands some events."""
    received = 0

    def run(count: int = 2, **options: int) -> None:
        nonlocal received
        receive(pipeline, [(NOON, usage(f"event-{received + n}", NOON)) for n in range(count)], **options)
        received += count

    return run


def in_the_lake(pipeline: Pipeline) -> list[Landing | None]:
    """The links that the snapshots carry."""
    return [
        landing_of(each.snapshot_id, each.properties) for each in pipeline.lake.snapshots(RAW_USAGE_EVENTS)
    ]


def fail(*_arguments: object, **_options: object) -> None:
    raise OSError("killed here")


def test_every_landing_is_a_link_that_carries_on_the_one_before(pipeline: Pipeline, land: Land) -> None:
    """With its files by name and SHA-256, and its offsets; the same with the snapshot and in the control database."""
    land()
    land(3)
    first, second = recorded_landings(pipeline.control)
    assert [first, second] == in_the_lake(pipeline)
    assert (first.first_offset, first.next_offset, second.first_offset, second.next_offset) == (0, 2, 2, 5)
    assert (first.previous_chain, second.previous_chain) == (START, first.chain)
    assert second.chain == chain_of(first.chain, 2, 5, second.files)
    named = {file.name: file.sha256 for landing in (first, second) for file in landing.files}
    paths = [Path(file.path) for file in pipeline.lake.files(RAW_USAGE_EVENTS)]
    assert named == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_stretches_are_links_of_their_own(pipeline: Pipeline, land: Land) -> None:
    land(6, batch_records=2, stretch_records=2)
    landings = recorded_landings(pipeline.control)
    assert [(each.first_offset, each.next_offset) for each in landings] == [(0, 2), (2, 4), (4, 6)]


@pytest.mark.parametrize(
    "changed",
    [
        ("1" * 64, 0, 2, [LandedFile("a", "1"), LandedFile("b", "2")]),
        (START, 1, 2, [LandedFile("a", "1"), LandedFile("b", "2")]),
        (START, 0, 3, [LandedFile("a", "1"), LandedFile("b", "2")]),
        (START, 0, 2, [LandedFile("a", "1"), LandedFile("b", "3")]),
        (START, 0, 2, [LandedFile("a", "1")]),
        (START, 0, 2, [LandedFile("a", "2"), LandedFile("b", "1")]),
    ],
)
def test_whatever_is_changed_in_a_link_changes_the_chain(
    changed: tuple[str, int, int, Sequence[LandedFile]],
) -> None:
    files = [LandedFile("a", "1"), LandedFile("b", "2")]
    assert chain_of(*changed) != chain_of(START, 0, 2, files) == chain_of(START, 0, 2, files[::-1])


def test_what_a_killed_landing_did_not_record_is_recorded_by_the_next(
    pipeline: Pipeline, land: Land, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the commit to the lake and the control database; the snapshot has it."""
    land()
    with monkeypatch.context() as patch:
        patch.setattr(landing_module, "record_landings", fail)
        with pytest.raises(OSError, match="killed here"):
            land()
    assert len(recorded_landings(pipeline.control)) == 1
    land(1)
    assert recorded_landings(pipeline.control) == in_the_lake(pipeline)
    assert len(recorded_landings(pipeline.control)) == 3


def test_a_first_landing_that_was_killed_is_recorded_by_the_next(
    pipeline: Pipeline, land: Land, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(landing_module, "record_landings", fail)
        with pytest.raises(OSError, match="killed here"):
            land()
    land()
    assert recorded_landings(pipeline.control) == in_the_lake(pipeline)
    assert not any(each.found for each in recorded_landings(pipeline.control))


def test_a_lake_made_before_there_were_chains_begins_with_what_it_holds(
    pipeline: Pipeline, land: Land, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Lake.append

    def append_as_before(
        lake: Lake, table: Table, files: Sequence[Path], properties: Mapping[str, str]
    ) -> Commit:
        kept = ("billing.next-offset", "billing.last-received-at")
        return append(lake, table, files, {name: properties[name] for name in kept})

    with monkeypatch.context() as patch:
        patch.setattr(Lake, "append", append_as_before)
        patch.setattr(landing_module, "record_landings", lambda *_: None)
        land()
        patch.setattr(landing_module, "mended_head", lambda *_: START)
        land()
    land()
    found, landed = recorded_landings(pipeline.control)
    assert (found.found, found.first_offset, found.next_offset, len(found.files)) == (True, 0, 4, 2)
    assert (landed.found, landed.previous_chain, landed.first_offset) == (False, found.chain, 4)
    land()
    assert len(recorded_landings(pipeline.control)) == 3


def test_nothing_is_landed_behind_what_something_else_appended(pipeline: Pipeline, land: Land) -> None:
    """The error names the snapshot and what to do."""
    land()
    foreign = pipeline.lake.new_file(RAW_USAGE_EVENTS)
    (file,) = pipeline.lake.files(RAW_USAGE_EVENTS)
    foreign.write_bytes(Path(file.path).read_bytes())
    pipeline.lake.append(RAW_USAGE_EVENTS, [foreign], {"billing.next-offset": "2"})
    snapshot = pipeline.lake.snapshot(RAW_USAGE_EVENTS)
    with pytest.raises(
        LandingChainError, match=rf"snapshot {snapshot} .* other than landing; .*verify.*Restore"
    ):
        land()
    assert len(pipeline.lake.snapshots(RAW_USAGE_EVENTS)) == 2


def test_a_lake_older_than_its_control_database_is_refused(
    pipeline: Pipeline, land: Land, tmp_path: Path
) -> None:
    import shutil

    land()
    shutil.copy(pipeline.lake.root / "catalog.sqlite", tmp_path / "catalog.sqlite")
    land()
    shutil.copy(tmp_path / "catalog.sqlite", pipeline.lake.root / "catalog.sqlite")
    pipeline.lake = Lake(pipeline.lake.root)
    with pytest.raises(LandingChainError, match="ends at offset 2, but later landings are recorded"):
        land()


def test_a_lake_that_was_lost_begins_a_chain_of_its_own(pipeline: Pipeline, land: Land) -> None:
    land()
    pipeline.lake = Lake(pipeline.settings.home / "new-lake")
    land()
    land()
    before, anew, next_one = recorded_landings(pipeline.control)
    assert (before.previous_chain, anew.previous_chain) == (START, START)
    assert (anew.first_offset, anew.next_offset) == (0, 4)
    assert next_one.previous_chain == anew.chain
