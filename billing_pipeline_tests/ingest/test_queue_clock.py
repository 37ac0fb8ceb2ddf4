"""The queue's clock: receipt times never go back, whatever the wall clock does."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.errors import ClockError
from billing_pipeline.ingest.queue_clock import MAX_FORWARD_JUMP_US, QueueClock, instant_text
from billing_pipeline.ingest.stored_queue import StoredQueue
from billing_pipeline_tests.ingest.queue_stores import ENGINES, QueueStore, fresh_store

NOON_US = 1_790_856_000_000_000
"""2026-10-01 12:00 UTC."""
HOUR_US = 3_600_000_000
RECORD = LogRecord(kind="usage", payload="{}")


class Clocks:
    """A wall clock that can be set and a steady one that cannot."""

    def __init__(self, wall_us: int = NOON_US) -> None:
        self.wall_us = wall_us
        self.steady_us = 0

    def wall(self) -> int:
        return self.wall_us

    def steady(self) -> int:
        return self.steady_us

    def pass_time(self, us: int) -> None:
        self.wall_us += us
        self.steady_us += us

    def queue_clock(self, value: int = 0) -> QueueClock:
        return QueueClock(value, self.wall, self.steady)

    def queue(self, store: QueueStore) -> StoredQueue:
        return store.open(wall_clock=self.wall, steady_clock=self.steady)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.integers(0, 2 * HOUR_US)),
        st.tuples(st.just("set"), st.integers(-3 * HOUR_US, 3 * HOUR_US)),
        st.tuples(st.just("append"), st.just(0)),
        st.tuples(st.just("import"), st.integers(-HOUR_US, HOUR_US)),
        st.tuples(st.just("advance"), st.integers(-HOUR_US, HOUR_US)),
    ),
    max_size=30,
)


@given(STEPS)
def test_no_receipt_time_is_before_one_given_earlier_or_before_an_advance(
    steps: list[tuple[str, int]],
) -> None:
    """Whatever is appended, imported, advanced and done to the wall clock; and no refusal moves the clock."""
    clocks = Clocks()
    clock = clocks.queue_clock()
    for what, us in steps:
        before = clock.value
        try:
            if what == "pass":
                clocks.pass_time(us)
            elif what == "set":
                clocks.wall_us += us
            elif what == "append":
                assert clock.stamp() >= before
                assert clock.value == max(before, clocks.wall_us)
            elif what == "import":
                clock.accept([clocks.wall_us + us, clocks.wall_us + us])
                assert before <= clock.value == clocks.wall_us + us <= clocks.wall_us
            else:
                clock.advance(clocks.wall_us + us)
                assert before <= clock.value == clocks.wall_us + us <= max(clocks.wall_us, before)
        except ClockError:
            assert clock.value == before


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=20, deadline=None)
@given(steps=STEPS)
def test_the_watermark_holds_over_reopening(engine: str, steps: list[tuple[str, int]]) -> None:
    """Every receipt time stored after `clock()` was read is at least what it said, also by another writer."""
    clocks = Clocks()
    with TemporaryDirectory() as folder, fresh_store(engine, Path(folder)) as store:
        queue = clocks.queue(store)
        promised: list[tuple[int, int]] = []
        for what, us in steps:
            try:
                if what == "pass":
                    clocks.pass_time(us)
                elif what == "set":
                    queue.close()
                    clocks.wall_us += us
                elif what == "append":
                    queue.append("product", [RECORD])
                elif what == "import":
                    queue.append("import", [RECORD], [clocks.wall_us + us])
                else:
                    queue.advance(clocks.wall_us + us)
            except ClockError:
                continue
            promised.append((queue.next_offset(), queue.clock()))
        queue.close()
        times = [time for batch in queue.read_from(0, 1000) for time in batch.receipt_times()]
    assert times == sorted(times)
    assert all(time >= clock for offset, clock in promised for time in times[offset:])


def test_a_wall_clock_set_back_is_held_at_the_queues_clock(store: QueueStore) -> None:
    clocks = Clocks()
    with clocks.queue(store) as queue:
        queue.append("product", [RECORD])
        clocks.wall_us -= HOUR_US
        queue.append("product", [RECORD])
        assert [batch.received_at for batch in queue.read_from(0, 10)] == [NOON_US, NOON_US]
        clocks.wall_us += 2 * HOUR_US
        queue.append("product", [RECORD])
        assert queue.clock() == NOON_US + HOUR_US


def test_a_wall_clock_that_jumps_forward_stops_stamping_until_it_is_set_right(store: QueueStore) -> None:
    clocks = Clocks()
    with clocks.queue(store) as queue:
        queue.append("product", [RECORD])
        clocks.wall_us += MAX_FORWARD_JUMP_US + 1
        with pytest.raises(ClockError, match=r"jumped forward to 2026-10-01T13:00:00\.000001Z"):
            queue.append("product", [RECORD])
        with pytest.raises(ClockError, match="jumped forward"):
            queue.advance(NOON_US + 1)
        assert (queue.next_offset(), queue.clock()) == (1, NOON_US)
        clocks.wall_us -= MAX_FORWARD_JUMP_US
        assert queue.append("product", [RECORD]) == range(1, 2)


def test_reopening_the_queue_confirms_a_wall_clock_that_was_right_to_jump(store: QueueStore) -> None:
    clocks = Clocks()
    with clocks.queue(store) as queue:
        queue.append("product", [RECORD])
        clocks.wall_us += 24 * HOUR_US
        queue.close()
        queue.append("product", [RECORD])
        assert queue.clock() == NOON_US + 24 * HOUR_US


def test_time_that_really_passes_is_no_jump(store: QueueStore) -> None:
    clocks = Clocks()
    with clocks.queue(store) as queue:
        queue.append("product", [RECORD])
        clocks.pass_time(90 * 24 * HOUR_US)
        queue.append("product", [RECORD])
        assert queue.clock() == NOON_US + 90 * 24 * HOUR_US


def test_slow_drift_over_months_is_no_jump() -> None:
    clocks = Clocks()
    clock = clocks.queue_clock()
    for _ in range(200):
        clocks.pass_time(24 * HOUR_US)
        clocks.wall_us += 60_000_000
        assert clock.stamp() == clocks.wall_us


def test_an_import_keeps_its_own_receipt_times_of_every_record(store: QueueStore) -> None:
    with Clocks().queue(store) as queue:
        queue.append("import", [RECORD] * 3, [5, 5, 7])
        (batch,) = queue.read_from(0, 10)
        assert batch.received_at is None
        assert batch.receipt_times() == [5, 5, 7]
        assert (batch.first_received_at, batch.last_received_at) == (5, 7)
        assert list(batch.records()) == [RECORD] * 3
        assert queue.clock() == 7


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        ([NOON_US - 1], "is before the queue's clock, 2026-10-01T12:00:00Z"),
        ([NOON_US + 2, NOON_US + 1], r"\(record 1 of the batch\) is before the receipt time before it"),
        ([NOON_US, NOON_US + HOUR_US + 1], "is after the wall clock, 2026-10-01T13:00:00Z"),
    ],
)
def test_an_import_with_impossible_receipt_times_is_refused_whole(
    store: QueueStore, times: list[int], reason: str
) -> None:
    clocks = Clocks()
    with clocks.queue(store) as queue:
        queue.append("product", [RECORD])
        clocks.pass_time(HOUR_US)
        with pytest.raises(ClockError, match=reason):
            queue.append("import", [RECORD] * len(times), times)
        assert (queue.next_offset(), queue.clock()) == (1, NOON_US)


def test_advancing_is_durable_and_holds_later_records(store: QueueStore) -> None:
    clocks = Clocks()
    with clocks.queue(store) as queue:
        queue.append("import", [RECORD], [5])
        queue.advance(NOON_US - 1)
        queue.advance(NOON_US)
        queue.advance(NOON_US)
    clocks.wall_us -= HOUR_US
    with clocks.queue(store) as queue:
        assert queue.clock() == NOON_US
        assert queue.status().last_received_at == 5
        queue.append("product", [RECORD])
        with pytest.raises(ClockError):
            queue.append("import", [RECORD], [NOON_US - 1])
        assert queue.read_from(1, 10)[0].received_at == NOON_US


def test_advancing_back_or_past_the_wall_clock_is_refused_naming_both_instants(store: QueueStore) -> None:
    with Clocks().queue(store) as queue:
        queue.advance(NOON_US - HOUR_US)
        with pytest.raises(
            ClockError, match="2026-10-01T11:00:00Z and never goes back to 2026-10-01T10:00:00Z"
        ):
            queue.advance(NOON_US - 2 * HOUR_US)
        with pytest.raises(
            ClockError, match="2026-10-01T13:00:00Z, which is after the wall clock, 2026-10-01T12:0"
        ):
            queue.advance(NOON_US + HOUR_US)
        assert queue.clock() == NOON_US - HOUR_US


def test_one_impossible_time_does_not_fail_the_appends_of_others(store: QueueStore) -> None:
    with Clocks().queue(store) as queue:
        queue.append("product", [RECORD])
        with pytest.raises(ClockError):
            queue.append("import", [RECORD], [1])
        assert queue.append("product", [RECORD]) == range(1, 2)


def test_an_instant_beyond_the_calendar_can_still_be_named() -> None:
    assert instant_text(10**18) == "1000000000000000000 µs since 1970"
