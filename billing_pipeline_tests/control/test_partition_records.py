from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from billing_pipeline.control.database import open_control
from billing_pipeline.control.partition_records import PartitionRecord, latest, record

RECORD = PartitionRecord(
    table_name="usage_rollups",
    partition_key="2026-10-01|2026-07",
    content_hash="ab" * 32,
    row_count=3,
    snapshot_id="8781281239123912391",
    watermark=1_790_000_000_000_000,
    closed=True,
    rule_books={"2026-07": "cd" * 32},
    recorded_at=1_790_000_000_000_001,
    run_id="run-1",
)


@pytest.fixture
def engine(control_url: str) -> Iterator[Engine]:
    engine = open_control(control_url)
    yield engine
    engine.dispose()


def test_a_record_comes_back_as_it_was_written(engine: Engine) -> None:
    """Every field survives, also the optional watermark."""
    other = replace(RECORD, partition_key="2026-10-02|2026-07", watermark=None, closed=False, rule_books={})
    record(engine, [RECORD, other])
    assert latest(engine, "usage_rollups") == {RECORD.partition_key: RECORD, other.partition_key: other}


def test_the_newest_record_of_a_partition_wins(engine: Engine) -> None:
    """Records are added, never changed; the last one added is the latest, whatever its clock says."""
    newer = replace(RECORD, content_hash="ef" * 32, recorded_at=RECORD.recorded_at - 5)
    record(engine, [RECORD])
    record(engine, [newer])
    assert latest(engine, "usage_rollups") == {RECORD.partition_key: newer}


def test_tables_are_kept_apart(engine: Engine) -> None:
    """Another table's partitions are not among the latest."""
    record(engine, [RECORD])
    assert latest(engine, "invoice_lines") == {}


def test_recording_nothing_is_fine(engine: Engine) -> None:
    """An empty batch adds nothing."""
    record(engine, [])
    assert latest(engine, "usage_rollups") == {}
