"""Identity: of every (source, id) the first offset counts, on whatever day and with whatever time it comes again."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Any

import msgspec
import pytest

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.metering.control_records import separate_registry_changes
from billing_pipeline.metering.identity import identify
from billing_pipeline.metering.validation import validate
from billing_pipeline.pipeline import Pipeline

FIRST, SECOND, LAST = date(2026, 10, 1), date(2026, 10, 2), date(2026, 10, 20)
DAYS = (FIRST, SECOND, LAST)
ONE, TWO, LATER = "2026-10-01T12:00:00Z", "2026-10-02T12:00:00Z", "2026-10-20T12:00:00Z"


@pytest.fixture(scope="module")
def log(
    usage: Callable[..., LogRecord],
    correction: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
) -> list[tuple[str, LogRecord]]:
    """Offsets 0 to 2 register the customer; every event's offset stands beside it."""

    def colliding(event_id: str) -> LogRecord:
        return msgspec.structs.replace(usage(event_id, ONE), key_hash=42)

    return [
        *((ONE, record) for record in registered()),
        (ONE, usage("same", ONE)),  # 3
        (ONE, usage("same", ONE)),  # 4
        (ONE, usage("same", ONE, quantity="1000.0", emitted_at=ONE)),  # 5
        (ONE, usage("changed", ONE)),  # 6
        (ONE, usage("changed", ONE, quantity="7")),  # 7
        (ONE, usage("later", ONE)),  # 8
        (ONE, usage("moved", ONE)),  # 9
        (ONE, usage("other-source", ONE)),  # 10
        (ONE, usage("other-source", ONE, source="other")),  # 11
        (ONE, usage("invalid-first", ONE, unit="page")),  # 12
        (ONE, colliding("collision-a")),  # 13
        (ONE, colliding("collision-b")),  # 14
        (ONE, correction("fix", "same", ONE)),  # 15
        (ONE, correction("fix", "same", ONE)),  # 16
        (TWO, usage("moved", TWO)),  # 17: the same identity claims another time
        (TWO, usage("invalid-first", ONE)),  # 18
        (TWO, usage("back", TWO)),  # 19
        (TWO, colliding("collision-b")),  # 20
        (TWO, correction("fix", "moved", ONE)),  # 21
        (LATER, usage("later", ONE)),  # 22
        (LATER, usage("changed", ONE, quantity="7")),  # 23: equals the conflict, not the one that counted
        (LATER, usage("back", ONE)),  # 24
        (LATER, usage("same", ONE)),  # 25
        (LATER, usage("new", LATER)),  # 26
    ]


REPEATED = {
    4: ("duplicate", 3, "usage"),
    5: ("duplicate", 3, "usage"),
    7: ("conflict", 6, "usage"),
    16: ("duplicate", 15, "correction"),
    17: ("conflict", 9, "usage"),
    20: ("duplicate", 14, "usage"),
    21: ("conflict", 15, "correction"),
    22: ("duplicate", 8, "usage"),
    23: ("conflict", 6, "usage"),
    24: ("conflict", 19, "usage"),
    25: ("duplicate", 3, "usage"),
}
COUNTED = [3, 6, 8, 9, 10, 11, 13, 14, 18, 19, 26]


@pytest.fixture(scope="module")
def validated(
    new_pipeline: Callable[[], Pipeline], receive: Callable[..., None], log: list[tuple[str, LogRecord]]
) -> Pipeline:
    pipeline = new_pipeline()
    receive(pipeline, log)
    separate_registry_changes(pipeline.workshop, DAYS)
    validate(pipeline.workshop, DAYS)
    return pipeline


def hashes(pipeline: Pipeline, runs: Iterable[Sequence[date]]) -> dict[tuple[str, str], str]:
    return {
        (each.table, str(each.key)): each.content_hash
        for days in runs
        for each in identify(pipeline.workshop, days).partitions
    }


def test_every_record_counts_once_and_each_repetition_names_the_one_that_counted(
    validated: Pipeline, rows: Callable[..., list[tuple[Any, ...]]]
) -> None:
    """Duplicates and conflicts on the same day and on later ones, with an equal or a fresh time, also of corrections.

    Another source is another event; one that was rejected has not counted; equal hashes of other keys are no identity.
    """
    identify(validated.workshop, DAYS)
    query = "SELECT queue_offset, outcome, counted_queue_offset, kind FROM duplicate_usage_events"
    assert {row[0]: row[1:] for row in rows(validated, query)} == REPEATED
    query = "SELECT queue_offset FROM unique_usage_events ORDER BY queue_offset"
    assert [row[0] for row in rows(validated, query)] == COUNTED
    assert rows(validated, "SELECT queue_offset, corrects_id, outcome, sign FROM usage_corrections") == [
        (15, "same", "applied", -1),
        (15, "same", "applied", 1),
    ]


def test_repetitions_are_listed_on_their_own_receipt_day_and_counted_by_outcome(validated: Pipeline) -> None:
    result = identify(validated.workshop, DAYS)
    counts = {
        each.key.day: each.counts for each in result.partitions if each.table == "duplicate_usage_events"
    }
    assert counts == {
        FIRST: {"conflict": 1, "duplicate": 3},
        SECOND: {"conflict": 2, "duplicate": 1},
        LAST: {"conflict": 2, "duplicate": 2},
    }


def test_day_by_day_in_any_order_gives_the_bytes_of_one_run_over_all_days(validated: Pipeline) -> None:
    expected = hashes(validated, [DAYS])
    assert len(expected) == 9
    assert hashes(validated, [[LAST], [SECOND], [FIRST]]) == expected
    assert hashes(validated, [[LAST, FIRST], [SECOND]]) == expected


def test_what_comes_later_changes_no_day_before_it(
    new_pipeline: Callable[[], Pipeline],
    receive: Callable[..., None],
    log: list[tuple[str, LogRecord]],
    validated: Pipeline,
) -> None:
    """The first two days on their own have the bytes they have with the last one behind them."""
    pipeline = new_pipeline()
    receive(pipeline, [entry for entry in log if entry[0] != LATER])
    separate_registry_changes(pipeline.workshop, DAYS[:2])
    validate(pipeline.workshop, DAYS[:2])
    alone = hashes(pipeline, [DAYS[:2]])
    assert alone.items() <= hashes(validated, [DAYS]).items()
