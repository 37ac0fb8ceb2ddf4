"""Landing: every record of the queue stands in the raw table exactly once, whatever is killed and however it is cut."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.contract.instants import instant_us
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.parsing import parse
from billing_pipeline.control.landings import recorded_landings
from billing_pipeline.errors import LakeError, QueueCorruptError, QueueError
from billing_pipeline.ingest.landed_partitions import landed_partitions
from billing_pipeline.ingest.landing import Lander
from billing_pipeline.ingest.queue import Batch
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
from billing_pipeline.lake.iceberg import Lake
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.tables import RAW_USAGE_EVENTS

Rows = Callable[..., list[tuple[Any, ...]]]
FAR_FUTURE = instant_us("2040-01-01T00:00:00Z")
EVERYTHING = "SELECT * EXCLUDE (receipt_day), receipt_day FROM raw_usage_events ORDER BY queue_offset"
OFFSETS = "SELECT queue_offset FROM raw_usage_events ORDER BY queue_offset"


@pytest.fixture
def queue(pipeline: Pipeline) -> Iterator[SqliteQueue]:
    path = pipeline.settings.queue_path
    path.parent.mkdir(parents=True)
    with SqliteQueue(path, wall_clock=lambda: FAR_FUTURE or 0) as queue:
        yield queue


@pytest.fixture
def lander(pipeline: Pipeline, queue: SqliteQueue) -> Lander:
    return Lander(queue, pipeline.lake, pipeline.engine, pipeline.calendar, pipeline.control)


@pytest.fixture
def hand_in(queue: SqliteQueue, usage: Callable[..., LogRecord]) -> Callable[..., None]:
    """Appends a batch of some events that were all received at one instant."""

    def append(count: int = 2, received_at: str = "2026-10-05T12:00:00Z") -> None:
        at = instant_us(received_at) or 0
        start = queue.next_offset()
        records = [usage(f"event-{start + n}", received_at) for n in range(count)]
        queue.append("test", records, [at] * count)

    return append


def fail(*_arguments: object, **_options: object) -> None:
    raise OSError("killed here")


def test_what_is_killed_before_the_commit_counts_for_nothing_and_is_landed_again(
    lander: Lander,
    hand_in: Callable[..., None],
    pipeline: Pipeline,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hand_in()
    with monkeypatch.context() as patch:
        patch.setattr(Lake, "append", fail)
        with pytest.raises(OSError, match="killed here"):
            lander.land()
    assert rows(pipeline, OFFSETS) == []
    assert lander.pending() == 2
    lander.land()
    assert rows(pipeline, OFFSETS) == [(0,), (1,)]


def test_what_is_killed_after_the_commit_is_not_landed_a_second_time(
    *,
    lander: Lander,
    queue: SqliteQueue,
    hand_in: Callable[..., None],
    pipeline: Pipeline,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The queue has not heard of it, but the raw table itself says how far it is; then the queue is told."""
    hand_in()
    with monkeypatch.context() as patch:
        patch.setattr(SqliteQueue, "commit", fail)
        with pytest.raises(OSError, match="killed here"):
            lander.land()
    assert queue.committed("landing") == 0
    assert lander.pending() == 0
    assert lander.land().rows == {}
    assert queue.committed("landing") == 2
    hand_in()
    assert lander.land().rows == {date(2026, 10, 5): 2}
    assert rows(pipeline, OFFSETS) == [(0,), (1,), (2,), (3,)]


def test_landing_says_what_range_it_landed_and_how_many_rows_by_receipt_day(
    lander: Lander, hand_in: Callable[..., None]
) -> None:
    hand_in(2, "2026-10-05T12:00:00Z")
    lander.land()
    hand_in(3, "2026-10-06T00:59:59.999999Z")
    hand_in(1, "2026-10-06T01:00:00Z")
    progress: list[int] = []
    landed = lander.land(progress.append)
    assert (landed.first_offset, landed.next_offset) == (2, 6)
    assert landed.rows == {date(2026, 10, 5): 3, date(2026, 10, 6): 1}
    assert progress == [4]


def test_an_empty_queue_and_one_that_is_landed_already_land_nothing(
    lander: Lander, hand_in: Callable[..., None], pipeline: Pipeline
) -> None:
    assert lander.land().rows == {}
    hand_in()
    lander.land()
    snapshot = pipeline.lake.snapshot(RAW_USAGE_EVENTS)
    assert lander.land().rows == {}
    assert pipeline.lake.snapshot(RAW_USAGE_EVENTS) == snapshot


def test_stretches_and_batches_of_any_size_give_the_same_rows(
    new_pipeline: Callable[[], Pipeline],
    usage: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
    rows: Rows,
) -> None:
    """Over a day's close in the middle of a batch, with payloads that are no text and texts that look like others."""
    early, late = "2026-10-06T00:59:59.999999Z", "2026-10-06T01:00:00Z"
    log = [(early, record) for record in registered()]
    log += [
        (early, usage("NULL", early, user_id="null", dimensions={"a": "|\\N", "ä": '"'})),
        (early, parse(b"\xff\x00")),
        (late, parse(b"")),
        (late, usage("plain", late, quantity="99999999999999999999999999999.999999999")),
        ("2026-10-09T12:00:00.000001Z", usage("last", early, session_id="s", step="completion")),
    ]
    found = []
    for batch_records, stretch_records in ((100, 1_000_000), (1, 1), (3, 2)):
        pipeline = new_pipeline()
        receive(pipeline, log, batch_records=batch_records, stretch_records=stretch_records)
        found.append(rows(pipeline, EVERYTHING))
    assert found[0] == found[1] == found[2]
    assert [row[-1].day for row in found[0]] == [5, 5, 5, 5, 5, 6, 6, 9]
    payloads = [row[-2] for row in found[0]]
    assert payloads[4:6] == [b"\xff\x00", b""]
    texts = [row for row in found[0] if "NULL" in row]
    assert len(texts) == 1
    assert "null" in texts[0]


def test_a_lake_ahead_of_its_queue_is_refused(
    lander: Lander, hand_in: Callable[..., None], pipeline: Pipeline, tmp_path: Path
) -> None:
    hand_in(3)
    lander.land()
    with SqliteQueue(tmp_path / "other" / "queue.sqlite") as other:
        stranger = Lander(other, pipeline.lake, pipeline.engine, pipeline.calendar, pipeline.control)
        with pytest.raises(
            LakeError, match=r"holds offsets up to 3, the queue only up to 0; .* different homes"
        ):
            stranger.land()


def test_two_landers_at_once_take_turns_and_land_everything_once(
    lander: Lander, hand_in: Callable[..., None], pipeline: Pipeline, rows: Rows
) -> None:
    for _ in range(4):
        hand_in()
    small = Lander(
        lander.queue,
        Lake(pipeline.lake.root),
        pipeline.engine,
        pipeline.calendar,
        pipeline.control,
        stretch_records=2,
    )
    landed = []
    threads = [
        threading.Thread(target=lambda each=each: landed.append(each.land())) for each in (small, lander)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(sum(each.rows.values()) for each in landed) == 8
    assert rows(pipeline, OFFSETS) == [(n,) for n in range(8)]


def test_records_that_come_while_it_lands_are_landed_by_it_or_by_the_next(
    lander: Lander, hand_in: Callable[..., None], pipeline: Pipeline, rows: Rows
) -> None:
    hand_in()
    lander.land(lambda _landed: hand_in(1))
    assert lander.pending() == 1
    lander.land()
    assert rows(pipeline, OFFSETS) == [(0,), (1,), (2,)]


def test_only_append_snapshots_are_ever_made_of_the_raw_table(
    lander: Lander, hand_in: Callable[..., None], pipeline: Pipeline
) -> None:
    for _ in range(3):
        hand_in()
        lander.land()
    snapshots = pipeline.lake._table(RAW_USAGE_EVENTS).snapshots()
    assert [str(each.summary and each.summary.operation.value) for each in snapshots] == ["append"] * 3


def test_scratch_space_is_empty_after_landing(
    lander: Lander, hand_in: Callable[..., None], pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it failed."""
    hand_in()
    monkeypatch.setattr(SqliteQueue, "commit", fail)
    with pytest.raises(OSError, match="killed here"):
        lander.land()
    assert list(pipeline.settings.scratch_path.iterdir()) == []


def test_the_queue_is_never_told_more_than_it_holds(queue: SqliteQueue, hand_in: Callable[..., None]) -> None:
    hand_in()
    with pytest.raises(QueueError):
        queue.commit("landing", 3)


def test_everything_before_a_damaged_batch_is_landed(
    pipeline: Pipeline,
    lander: Lander,
    queue: SqliteQueue,
    hand_in: Callable[..., None],
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where the damage comes to light in a later read of the same stretch."""
    for _ in range(3):
        hand_in()

    def a_batch_at_a_time(offset: int, max_records: int) -> list[Batch]:
        if offset >= 4:
            raise QueueCorruptError(str(queue.path), offset)
        return SqliteQueue.read_from(queue, offset, min(2, max_records))

    monkeypatch.setattr(queue, "read_from", a_batch_at_a_time)
    with pytest.raises(QueueCorruptError):
        lander.land()
    assert rows(pipeline, OFFSETS) == [(0,), (1,), (2,), (3,)]
    assert lander.landed_until() == 4


def test_the_landed_partitions_are_told_by_kind_with_the_hash_of_their_files(
    pipeline: Pipeline,
    usage: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
) -> None:
    noon = "2026-10-05T12:00:00Z"
    receive(
        pipeline,
        [*((noon, record) for record in registered()), (noon, usage("a", noon)), (noon, parse(b"x"))],
    )
    days = [date(2026, 10, 5), date(2026, 10, 6)]
    full, empty = landed_partitions(pipeline.workshop, days).partitions
    assert (full.rows, full.counts) == (5, {"control": 3, "usage": 1, "invalid": 1})
    assert (empty.rows, empty.counts) == (0, {})
    assert full.content_hash != empty.content_hash


LAND = """
import os, signal, sys
from pathlib import Path
from billing_pipeline.ingest.queue import Batch
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
from billing_pipeline.lake.iceberg import Lake
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.settings import load_settings
pipeline = Pipeline(load_settings())
append = Lake.append
def append_and_die(self, table, files, properties):
    commit = append(self, table, files, properties) if sys.argv[1] == "after" else None
    os.kill(os.getpid(), signal.SIGKILL)
    return commit
Lake.append = append_and_die
with pipeline.queue() as queue:
    pipeline.lander(queue).land()
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_landing_process_killed_at_its_commit_leaves_a_log_that_lands_exactly_once(
    *,
    moment: str,
    lander: Lander,
    hand_in: Callable[..., None],
    queue: SqliteQueue,
    pipeline: Pipeline,
    rows: Rows,
) -> None:
    """A real SIGKILL: no lock, no file and no half a snapshot stays in the way."""
    hand_in(3)
    queue.close()
    killed = subprocess.run(
        [sys.executable, "-c", LAND, moment],
        env={"BILLING_HOME": str(pipeline.settings.home), "BILLING_TOML": "none"},
        timeout=120,
        check=False,
    )
    assert killed.returncode == -9
    assert rows(pipeline, OFFSETS) == ([(0,), (1,), (2,)] if moment == "after" else [])
    hand_in(1)
    lander.land()
    assert rows(pipeline, OFFSETS) == [(0,), (1,), (2,), (3,)]
    assert queue.committed("landing") == 4
    ranges = [(each.first_offset, each.next_offset) for each in recorded_landings(pipeline.control)]
    assert ranges == ([(0, 3), (3, 4)] if moment == "after" else [(0, 4)])


def test_the_watermark_is_the_clock_once_everything_has_landed(
    queue: SqliteQueue, lander: Lander, hand_in: Callable[..., None]
) -> None:
    hand_in(received_at="2026-10-05T12:00:00Z")
    lander.land()
    queue.advance(instant_us("2026-10-06T01:00:00Z") or 0)
    assert lander.watermark() == instant_us("2026-10-06T01:00:00Z")


def test_the_watermark_stands_at_the_last_landed_record_while_more_keeps_coming(
    lander: Lander, hand_in: Callable[..., None]
) -> None:
    assert lander.watermark() == 0
    hand_in(received_at="2026-10-05T12:00:00Z")
    lander.land()
    hand_in(received_at="2026-10-06T02:00:00Z")
    assert lander.watermark() == instant_us("2026-10-05T12:00:00Z")


def test_a_lake_that_was_lost_is_landed_anew_without_moving_the_group_back(
    pipeline: Pipeline, queue: SqliteQueue, lander: Lander, hand_in: Callable[..., None]
) -> None:
    hand_in(3)
    hand_in(3)
    lander.land()
    fresh = Lander(
        queue,
        Lake(pipeline.settings.home / "new-lake"),
        pipeline.engine,
        pipeline.calendar,
        pipeline.control,
        3,
    )
    assert fresh.land().rows == {date(2026, 10, 5): 6}
    assert queue.committed("landing") == 6
