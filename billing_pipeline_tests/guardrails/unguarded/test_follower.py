"""The follower of the log on a real queue and a real ledger, on both databases."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from billing_pipeline.contract.instants import instant_text
from billing_pipeline.contract.log_lines import body_of
from billing_pipeline.control.guard_tables import (
    GUARD_ALERTS,
    GUARD_SESSIONS,
    GUARD_WATCHED_EVENTS,
    GUARD_WINDOWS,
)
from billing_pipeline.errors import QueuePrunedError
from billing_pipeline.guardrails.requests import Settle
from billing_pipeline.guardrails.terms import LimitTerm
from billing_pipeline.guardrails.unguarded.follower import COMMAND_RECORDS, UnguardedFollower
from billing_pipeline.guardrails.usage import Usage
from billing_pipeline.ingest.queue import Batch
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
from billing_pipeline_tests.guardrails.made_ledger import (
    START_US,
    MadeLedger,
    PriceByUnit,
    made_reserve,
    made_terms,
)
from billing_pipeline_tests.guardrails.unguarded.test_seen_usage import EVENT, line_of

DAY_US = 86_400_000_000
NANO_OF_1000 = 1_000_500


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[SqliteQueue]:
    with SqliteQueue(tmp_path / "queue.sqlite") as queue:
        yield queue


@pytest.fixture
def follower(ledger: MadeLedger, queue: SqliteQueue) -> UnguardedFollower:
    """One that has begun at the end of an empty log."""
    ledger.clock.at_us = START_US + DAY_US
    follower = following(ledger, queue)
    follower.run_once()
    return follower


def following(ledger: MadeLedger, queue: SqliteQueue) -> UnguardedFollower:
    return UnguardedFollower(
        queue, ledger.engine, ledger.writer, ledger.terms, PriceByUnit(), clock=ledger.clock
    )


def event(event_id: str, **fields: object) -> dict[str, object]:
    return (
        EVENT
        | {"id": event_id, "correlation_id": event_id, "occurred_at": instant_text(START_US + 1)}
        | fields
    )


def send(queue: SqliteQueue, *events: dict[str, object], producer: str = "product") -> None:
    queue.submit(producer, body_of(line_of(each) for each in events)).result()


def counted(control: Engine, scope: str = "customer:acme", window: str = "day") -> tuple[int, int]:
    """What is counted as unguarded, and the calls, over all windows of a kind."""
    columns = GUARD_WINDOWS.c
    query = select(func.sum(columns.unguarded), func.sum(columns.calls)).where(
        columns.scope == scope, columns.time_window == window
    )
    with control.connect() as connection:
        amount, calls = connection.execute(query).one()
    return int(amount or 0), int(calls or 0)


def rows(control: Engine, table: Any) -> list[Any]:
    with control.connect() as connection:
        return list(connection.execute(select(table)).all())


def test_the_first_time_it_begins_at_the_end(ledger: MadeLedger, queue: SqliteQueue) -> None:
    """What was before the guard is not its to count; what comes then is."""
    ledger.clock.at_us = START_US + DAY_US
    send(queue, event("before"))
    follower = following(ledger, queue)
    follower.run_once()
    send(queue, event("after"))
    assert follower.run_once().counted == 1
    assert counted(ledger.engine) == (NANO_OF_1000, 1)


def test_usage_moves_windows_and_session(
    ledger: MadeLedger, queue: SqliteQueue, follower: UnguardedFollower
) -> None:
    """Of customer and project in every window, and of the agent run."""
    send(queue, event("one"), event("two", quantity="3000"))
    assert follower.run_once().records == 2
    for window in ("minute", "hour", "day", "period"):
        for scope in ("customer:acme", "project:acme/p"):
            assert counted(ledger.engine, scope, window) == (4 * NANO_OF_1000, 2)
    (session,) = rows(ledger.engine, GUARD_SESSIONS)
    assert (session.scope, session.unguarded, session.steps) == ("session:acme/run-7", 4 * NANO_OF_1000, 2)
    assert queue.committed("guard") == 2


def test_redelivery_counts_nothing(
    ledger: MadeLedger, queue: SqliteQueue, follower: UnguardedFollower
) -> None:
    """Neither in the same batch nor days later."""
    send(queue, event("one"), event("one"))
    follower.run_once()
    send(queue, event("one"))
    follower.run_once()
    assert counted(ledger.engine) == (NANO_OF_1000, 1)


@pytest.mark.parametrize("own_first", [True, False])
def test_usage_that_was_settled_counts_once(
    ledger: MadeLedger, queue: SqliteQueue, follower: UnguardedFollower, *, own_first: bool
) -> None:
    """The product's own event and the guard's are one, whichever comes first."""
    usage = Usage(unit="token", quantity="1000", source="product", id="one")
    hold = ledger.writer.submit(made_reserve("r", 2_000_000, session_id="run-7")).result()
    ledger.writer.submit(Settle(hold_id=hold.hold_id, usage=(usage,))).result()
    producers = ("product", "guard") if own_first else ("guard", "product")
    for producer in producers:
        send(queue, event("one"), producer=producer)
        follower.run_once()
    assert counted(ledger.engine) == (0, 1)
    assert [(row.counted, row.entries) for row in rows(ledger.engine, GUARD_WATCHED_EVENTS)] == [
        (False, "[]")
    ]
    (session,) = rows(ledger.engine, GUARD_SESSIONS)
    assert (session.unguarded, session.settled, session.steps) == (0, NANO_OF_1000, 1)


def test_unguarded_usage_crosses_soft_limits(
    ledger: MadeLedger, queue: SqliteQueue, follower: UnguardedFollower
) -> None:
    """It is told as soon as it is seen, once."""
    ledger.terms.for_all = made_terms(limits=(LimitTerm("customer", "day", "soft", 2 * NANO_OF_1000),))
    for name in ("one", "two", "three"):
        send(queue, event(name))
        follower.run_once()
    (alert,) = rows(ledger.engine, GUARD_ALERTS)
    assert (alert.scope, alert.amount, alert.used) == ("customer:acme", 2 * NANO_OF_1000, 2 * NANO_OF_1000)


def test_what_cannot_be_counted_is_told_and_holds_nothing_up(
    ledger: MadeLedger, queue: SqliteQueue, follower: UnguardedFollower
) -> None:
    """Unpriced usage and unknown customers are skipped."""
    send(queue, event("a", unit="second"), event("b", customer_id="nobody"), event("c"))
    assert follower.run_once().skipped == Counter(unpriced=1, unknown_customer=1)
    assert counted(ledger.engine) == (NANO_OF_1000, 1)


def test_it_catches_up_over_many_commands(
    ledger: MadeLedger, queue: SqliteQueue, follower: UnguardedFollower
) -> None:
    """A batch longer than a command is cut within, and none of it is lost or counted twice."""
    count = 2 * COMMAND_RECORDS + 500
    send(queue, *(event(f"e-{number}", quantity="1000") for number in range(count)))
    done = follower.run_once()
    assert (done.records, done.counted) == (count, count)
    assert counted(ledger.engine) == (count * NANO_OF_1000, count)
    assert queue.committed("guard") == count


def test_several_followers_count_everything_once(
    ledger: MadeLedger, queue: SqliteQueue, follower: UnguardedFollower
) -> None:
    """Each believes the position in the database alone."""
    followers = [follower, *(following(ledger, queue) for _ in range(3))]
    for batch in range(4):
        send(queue, *(event(f"e-{batch}-{number}") for number in range(700)))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: each.run_once(), followers))
    assert counted(ledger.engine) == (2800 * NANO_OF_1000, 2800)


def test_a_follower_that_dies_before_its_commit_is_carried_on(
    ledger: MadeLedger, queue: SqliteQueue, follower: UnguardedFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue's group is only for show: where it falls behind, nothing is counted again."""

    def die(group: str, next_offset: int) -> None:
        raise KeyboardInterrupt(group, next_offset)

    send(queue, event("one"))
    with monkeypatch.context() as patch:
        patch.setattr(queue, "commit", die)
        with pytest.raises(KeyboardInterrupt):
            follower.run_once()
    following(ledger, queue).run_once()
    assert counted(ledger.engine) == (NANO_OF_1000, 1)
    assert queue.committed("guard") == 1


class PrunedQueue(SqliteQueue):
    """One whose first records were deleted before they were looked at."""

    def read_from(self, offset: int, max_records: int) -> list[Batch]:
        if offset < 1:
            raise QueuePrunedError(offset, 1)
        return super().read_from(offset, max_records)


def test_what_was_pruned_is_passed_over(ledger: MadeLedger, tmp_path: Path) -> None:
    """A guard that was away for weeks goes on with what is there."""
    ledger.clock.at_us = START_US + DAY_US
    with PrunedQueue(tmp_path / "pruned.sqlite") as queue:
        follower = following(ledger, queue)
        follower.run_once()
        send(queue, event("one"))
        send(queue, event("two"))
        done = follower.run_once()
    assert (done.skipped, done.counted) == (Counter(pruned=1), 1)


def test_another_log_is_followed_from_its_end(
    ledger: MadeLedger, queue: SqliteQueue, follower: UnguardedFollower, tmp_path: Path
) -> None:
    """Where the queue was lost and begun anew, offsets below the known ones are not waited out."""
    send(queue, event("one"), event("two"), event("three"))
    follower.run_once()
    with SqliteQueue(tmp_path / "new.sqlite") as new:
        send(new, event("four"))
        other = following(ledger, new)
        other.run_once()
        send(new, event("five"))
        assert other.run_once().counted == 1


def test_what_is_seen_is_forgotten_after_the_late_window(
    ledger: MadeLedger, queue: SqliteQueue, follower: UnguardedFollower
) -> None:
    """As long as usage may come late, its identity is known; then it need not be."""
    send(queue, event("one"))
    follower.run_once()
    ledger.clock.at_us += 34 * DAY_US
    follower.run_once()
    assert len(rows(ledger.engine, GUARD_WATCHED_EVENTS)) == 1
    ledger.clock.at_us += 2 * DAY_US
    follower.run_once()
    assert rows(ledger.engine, GUARD_WATCHED_EVENTS) == []


def test_a_line_of_any_form_is_followed(queue: SqliteQueue, follower: UnguardedFollower) -> None:
    """Also one that was parsed in full at the door, as for its escapes."""
    assert not line_of(event("é")).startswith(b"=")
    send(queue, event("é"), event("plain"))
    assert follower.run_once().counted == 2
