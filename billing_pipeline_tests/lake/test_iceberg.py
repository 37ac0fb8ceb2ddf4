"""The lake: partitions are replaced by their key at once and alone; nothing that others commit is lost."""

import multiprocessing
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from pyiceberg.catalog.sql import SqlCatalog

from billing_pipeline.errors import LakeError
from billing_pipeline.lake import iceberg
from billing_pipeline.lake.duckdb_engine import DuckDBEngine, in_memory
from billing_pipeline.lake.iceberg import Commit, Lake
from billing_pipeline.lake.transaction import Transaction
from billing_pipeline.schemas.table import Column, ColumnType, PartitionKey, Table

DAY_COLUMN = Column("day", ColumnType.DAY, "partition")
VERSION_COLUMN = Column("rule_version", ColumnType.TEXT, "partition")
VALUE_COLUMN = Column("value", ColumnType.WHOLE, "what it holds")
PER_DAY = Table(
    name="per_day",
    stage="test",
    description="By day.",
    columns=(DAY_COLUMN, VALUE_COLUMN),
    partition_by=("day",),
    order_by=("value",),
)
PER_VERSION = Table(
    name="per_version",
    stage="test",
    description="By day and rule version.",
    columns=(DAY_COLUMN, VERSION_COLUMN, VALUE_COLUMN),
    partition_by=("day", "rule_version"),
    order_by=("value",),
)
APPENDED = Table(
    name="appended",
    stage="test",
    description="Append-only.",
    columns=(DAY_COLUMN, VALUE_COLUMN),
    partition_by=("day",),
    order_by=("value",),
    append_only=True,
)
FIRST = date(2026, 10, 1)
ALIKE = ("prices-of-the-year-2026-a", "prices-of-the-year-2026-b")
"""Rule versions that differ only after their sixteenth character."""


def day(number: int) -> PartitionKey:
    return PartitionKey(FIRST + timedelta(days=number))


def engine_of(root: Path) -> DuckDBEngine:
    return DuckDBEngine(in_memory, 500, 1, root.parent / "scratch")


def new_file(lake: Lake, table: Table, key: PartitionKey, values: Sequence[int]) -> Path:
    path = lake.new_file(table)
    with engine_of(lake.root).session() as session:
        session.load("made", table.columns, [(*key.values(), value) for value in values])
        session.write(table, "made", path)
    return path


def put(lake: Lake, table: Table, content: dict[PartitionKey, Sequence[int]]) -> Commit:
    files = [new_file(lake, table, key, values) for key, values in content.items() if values]
    return lake.replace(table, list(content), files)


def content_of(lake: Lake, table: Table) -> dict[PartitionKey, list[int]]:
    found: dict[PartitionKey, list[int]] = {}
    with engine_of(lake.root).session() as session:
        for file in lake.files(table):
            session.scan("part", table, [file.path])
            values = [int(str(value)) for (value,) in session.rows("SELECT value FROM part")]
            assert len(values) == file.rows
            found.setdefault(file.key, []).extend(values)
    return {key: sorted(values) for key, values in found.items()}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_a_new_table_is_empty_and_has_no_snapshot(lake: Lake) -> None:
    assert lake.files(PER_DAY) == []
    assert lake.snapshot(PER_DAY) is None
    assert lake.summary(PER_DAY, "anything") is None


def test_exactly_the_named_partitions_are_replaced_also_by_nothing(lake: Lake) -> None:
    put(lake, PER_DAY, {day(0): [1], day(1): [2], day(2): [3]})
    put(lake, PER_DAY, {day(0): [10, 11], day(1): []})
    assert content_of(lake, PER_DAY) == {day(0): [10, 11], day(2): [3]}


def test_replacing_nothing_by_nothing_makes_no_snapshot(lake: Lake) -> None:
    put(lake, PER_DAY, {day(0): [1]})
    before = lake.snapshot(PER_DAY)
    assert put(lake, PER_DAY, {day(1): []}) == Commit(before, before)


def test_a_commit_names_the_snapshot_it_was_made_on_and_the_one_it_made(lake: Lake) -> None:
    first = put(lake, PER_DAY, {day(0): [1]})
    second = put(lake, PER_DAY, {day(0): [2]})
    assert first.read_snapshot is None
    assert second.read_snapshot == first.written_snapshot
    assert second.written_snapshot == lake.snapshot(PER_DAY)


def test_one_version_of_a_day_is_replaced_without_the_other(lake: Lake) -> None:
    keys = [PartitionKey(FIRST, version) for version in ALIKE]
    put(lake, PER_VERSION, {keys[0]: [1], keys[1]: [2]})
    put(lake, PER_VERSION, {keys[0]: [3]})
    assert content_of(lake, PER_VERSION) == {keys[0]: [3], keys[1]: [2]}
    put(lake, PER_VERSION, {keys[1]: []})
    assert content_of(lake, PER_VERSION) == {keys[0]: [3]}


def test_long_partition_values_are_deleted_by_metadata_alone(lake: Lake) -> None:
    """A rewrite would make new files that the pipeline has not written, in another order and format."""
    keys = [PartitionKey(FIRST, version) for version in ALIKE]
    put(lake, PER_VERSION, {keys[0]: [1], keys[1]: [2]})
    kept = [file.path for file in lake.files(PER_VERSION) if file.key == keys[1]]
    put(lake, PER_VERSION, {keys[0]: []})
    assert [file.path for file in lake.files(PER_VERSION)] == kept


def test_files_are_found_by_their_days_alone(lake: Lake) -> None:
    put(lake, PER_DAY, {day(number): [number] for number in range(5)})
    assert [file.key for file in lake.files(PER_DAY, [day(1).day, day(3).day])] == [day(1), day(3)]
    assert lake.files(PER_DAY, []) == []


def test_a_table_of_many_files_is_listed_by_the_days_asked_for(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same files as from a list of the whole table, which is not made then."""
    put(lake, PER_DAY, {day(number): [number] for number in range(5)})
    whole = lake.files(PER_DAY)
    few = Lake(lake.root)
    monkeypatch.setattr(iceberg, "LISTED_WHOLE_FILES", 4)
    assert few.files(PER_DAY, [day(3).day, day(1).day]) == [whole[1], whole[3]]
    assert few.files(PER_DAY, []) == []
    assert few.files(PER_DAY) == whole


def test_what_another_one_commits_is_seen_at_once(lake: Lake) -> None:
    """What was read of a table is used again only until somebody commits to it."""
    other = Lake(lake.root)
    for number in range(3):
        for writer, reader, key in ((other, lake, day(0)), (lake, other, day(1))):
            put(writer, PER_DAY, {key: [number]})
            assert content_of(reader, PER_DAY)[key] == [number]
            assert reader.snapshot(PER_DAY) == writer.snapshot(PER_DAY)


def test_a_table_of_an_earlier_release_is_refused_with_what_it_lacks(lake: Lake) -> None:
    """A clear word instead of an engine's, and what to do."""
    put(lake, PER_DAY, {day(0): [1]})
    later = replace(
        PER_DAY, columns=(*PER_DAY.columns, Column("added", ColumnType.TEXT, "New.", nullable=True))
    )
    with pytest.raises(
        LakeError, match="made by an earlier release, without the columns added; start a fresh home"
    ):
        Lake(lake.root).files(later)


def test_an_append_only_table_refuses_to_be_replaced(lake: Lake) -> None:
    path = new_file(lake, APPENDED, day(0), [1])
    with pytest.raises(LakeError, match="appended is append-only; its partitions are never replaced"):
        lake.replace(APPENDED, [day(0)], [path])


def test_an_append_adds_and_records_its_properties(lake: Lake) -> None:
    lake.append(APPENDED, [new_file(lake, APPENDED, day(0), [1])], {"billing.next-offset": "1"})
    lake.append(APPENDED, [new_file(lake, APPENDED, day(0), [2])], {"billing.next-offset": "2"})
    assert content_of(lake, APPENDED) == {day(0): [1, 2]}
    assert lake.summary(APPENDED, "billing.next-offset") == "2"
    assert lake.summary(APPENDED, "unknown") is None


def test_a_file_that_was_written_and_not_committed_counts_for_nothing(lake: Lake) -> None:
    put(lake, PER_DAY, {day(0): [1]})
    new_file(lake, PER_DAY, day(0), [2])
    assert content_of(Lake(lake.root), PER_DAY) == {day(0): [1]}


def test_a_reader_sees_all_of_a_commit_or_nothing_of_it(lake: Lake) -> None:
    """Two partitions always change together, so a reader never finds them apart, nor one of them missing."""
    put(lake, PER_DAY, {day(0): [0], day(1): [0]})
    reader = Lake(lake.root)
    done = threading.Event()

    def write() -> None:
        for turn in range(1, 6):
            put(lake, PER_DAY, {day(0): [turn], day(1): [turn]})
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while not done.is_set():
        seen.append(content_of(reader, PER_DAY))
    writer.join()
    assert content_of(reader, PER_DAY) == {day(0): [5], day(1): [5]}
    assert all(found.keys() == {day(0), day(1)} and found[day(0)] == found[day(1)] for found in seen)
    assert seen


def test_old_snapshots_are_forgotten_beyond_the_number_kept(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(iceberg, "SNAPSHOTS_KEPT", 4)
    for turn in range(6):
        put(lake, PER_DAY, {day(0): [turn]})
    assert len(lake._table(PER_DAY).snapshots()) == 4
    assert content_of(lake, PER_DAY) == {day(0): [5]}


def test_appending_for_ever_does_not_keep_snapshots_for_ever(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Landing appends all day long, and the cost of a commit grows with the snapshots kept."""
    monkeypatch.setattr(iceberg, "SNAPSHOTS_KEPT", 4)
    for turn in range(6):
        lake.append(APPENDED, [new_file(lake, APPENDED, day(0), [turn])], {"turn": str(turn)})
    assert len(lake._table(APPENDED).snapshots()) == 4
    assert lake.summary(APPENDED, "turn") == "5"
    assert content_of(lake, APPENDED) == {day(0): [0, 1, 2, 3, 4, 5]}


def test_a_transaction_works_out_its_metadata_once_for_each_change(lake: Lake) -> None:
    """It says what PyIceberg's own transaction says, before a change and after it."""
    put(lake, PER_DAY, {day(0): [1]})
    table = SqlCatalog("lake", uri=f"sqlite:///{lake.root / 'catalog.sqlite'}").load_table("billing.per_day")
    ours, theirs = Transaction(table), table.transaction()
    for transaction in (ours, theirs):
        transaction.set_properties(answer="42")
    before = ours.table_metadata
    assert before is ours.table_metadata
    assert before.properties["answer"] == "42"
    ours.set_properties(answer="43")
    assert ours.table_metadata.properties["answer"] == "43"
    changed = {"last_updated_ms": 0}  # the moment of the change, for both
    assert before.model_copy(update=changed) == theirs.table_metadata.model_copy(update=changed)


def test_a_lock_that_is_not_to_be_had_is_told_with_its_table_and_file(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(lake, PER_DAY, {day(0): [1]})
    monkeypatch.setattr(iceberg, "LOCK_TIMEOUT_SECONDS", 0.05)
    with (
        lake._locked(PER_DAY),
        pytest.raises(LakeError, match=r"another process has worked on per_day .*lock"),
    ):
        put(Lake(lake.root), PER_DAY, {day(1): [2]})


def replace_own_partitions(root: Path, writer: int, turns: int) -> None:
    """What each of several processes does: replace its own partition, over and over."""
    lake = Lake(root)
    for turn in range(turns):
        put(lake, PER_DAY, {day(writer): [turn]})


def test_processes_that_replace_different_partitions_of_a_table_lose_nothing(lake: Lake) -> None:
    """They start together on a fresh lake, so that catalog and table are made at once by all of them too."""
    # Processes of their own as with `spawn`, but what takes seconds to import is imported once, not in each.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pyiceberg.catalog.sql", "pyarrow.parquet", "duckdb"])
    writers = [
        context.Process(target=replace_own_partitions, args=(lake.root, writer, 3)) for writer in range(4)
    ]
    for process in writers:
        process.start()
    for process in writers:
        process.join(120)
    assert [process.exitcode for process in writers] == [0] * 4
    assert content_of(lake, PER_DAY) == {day(writer): [2] for writer in range(4)}
