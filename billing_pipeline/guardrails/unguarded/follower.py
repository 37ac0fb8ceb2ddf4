"""Follows the durable queue behind its end, and has the ledger count what never asked the guard.

How far it is stands in the control database beside what it counted, and moves with it in one transaction. So killed at
any point, and with any number of followers at once, each event is counted exactly once. The queue's group `guard` only
shows how far behind it is.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from billing_pipeline.control.clock import now_us
from billing_pipeline.errors import QueuePrunedError
from billing_pipeline.guardrails.commands import CountUnguarded
from billing_pipeline.guardrails.ports import Ledger, Pricer, TermsBook
from billing_pipeline.guardrails.unguarded.counting import DAY_US, LATE_WINDOW_DAYS, Counting
from billing_pipeline.guardrails.unguarded.seen_usage import SeenUsage, seen_usage
from billing_pipeline.guardrails.unguarded.watched_rows import forget_before, known_events, position
from billing_pipeline.ingest.queue import Batch, Queue

if TYPE_CHECKING:
    from sqlalchemy import Engine

GROUP = "guard"
GUARD_PRODUCER = "guard"
"""The outbox sends as this one; no API key may have that name."""
READ_RECORDS = 2_000
COMMAND_RECORDS = 1_000
"""Of the log in one command, so that reserves in the same transaction do not wait for it."""
COMMANDS_IN_A_RUN = 50
FORGET_EVERY_US = 600_000_000
ANSWER_SECONDS = 30.0


@dataclass
class Followed:
    """What a run did.

    Attributes:
        records: of the log that were looked at.
        counted: events counted as unguarded.
        taken_back: events that turned out to be the guard's.
        skipped: usage events that count nowhere, by cause: `unpriced`, `unknown_customer`, `unknown_project`,
            `not_billable`, `other_time`, `not_possible`; and records that were `pruned` before they were looked at.
    """

    records: int = 0
    counted: int = 0
    taken_back: int = 0
    skipped: Counter[str] = field(default_factory=Counter)


class UnguardedFollower:
    """Counts the log's usage; `run_once` every two seconds."""

    def __init__(
        self,
        queue: Queue,
        control: "Engine",
        ledger: Ledger,
        terms_book: TermsBook,
        pricer: Pricer,
        *,
        clock: Callable[[], int] = now_us,
    ) -> None:
        self._queue = queue
        self._control = control
        self._ledger = ledger
        self._terms_book = terms_book
        self._pricer = pricer
        self._clock = clock
        self._forgets_at = 0

    def run_once(self) -> Followed:
        """Look at what is new in the log, up to its end or so much that others have their turn.

        The first time of all it begins at the end: what was before the guard is not its to count.

        Raises:
            QueueError: the queue cannot be read.
            GuardUnavailableError: the ledger cannot be reached. The next run goes on from where it stands.
        """
        done = Followed()
        reached = None
        for _ in range(COMMANDS_IN_A_RUN):
            start = position(self._control)
            end = self._queue.next_offset()
            if start is None or start > end:
                # At the end of a log that is new to the guard: the first one, or one in the place of a lost one.
                self._submit(
                    CountUnguarded(entries=(), first_offset=end if start is None else start, cursor=end)
                )
                break
            reached = start
            if start == end:
                break
            reached = self._count(start, done)
        if reached is not None and self._queue.committed(GROUP) < reached:
            self._queue.commit(GROUP, reached)
        self._forget()
        return done

    def _count(self, start: int, done: Followed) -> int:
        """Look at some records of the log from an offset on; returns the one after them."""
        try:
            batches = self._queue.read_from(start, READ_RECORDS)
        except QueuePrunedError as error:
            kept = error.first_kept_offset
            self._submit(CountUnguarded(entries=(), first_offset=start, cursor=kept))
            done.skipped["pruned"] += kept - start
            return kept
        lines = list(_lines(batches, start))[:COMMAND_RECORDS]
        events = [(is_guards, event) for is_guards, line in lines if (event := seen_usage(line)) is not None]
        keys = list(dict.fromkeys(event.key for _, event in events))
        known = known_events(self._control, keys)
        counting = Counting(known, self._terms_book, self._pricer, self._clock())
        for is_guards, event in events:
            _add(counting, event, is_guards=is_guards)
        cursor = start + len(lines)
        self._submit(
            CountUnguarded(
                entries=counting.entries, watched=counting.watched, first_offset=start, cursor=cursor
            )
        )
        done.records += len(lines)
        done.counted += counting.counted
        done.taken_back += counting.taken_back
        done.skipped += counting.skipped
        return cursor

    def _submit(self, command: CountUnguarded) -> None:
        self._ledger.submit(command).result(ANSWER_SECONDS)

    def _forget(self) -> None:
        now = self._clock()
        if now >= self._forgets_at:
            self._forgets_at = now + FORGET_EVERY_US
            while forget_before(self._control, now - LATE_WINDOW_DAYS * DAY_US):
                pass


def _lines(batches: list[Batch], start: int) -> Iterator[tuple[bool, bytes]]:
    """The lines from an offset on, and whether the guard sent each."""
    for batch in batches:
        lines = batch.body.splitlines()
        for line in lines[max(0, start - batch.first_offset) :]:
            yield batch.producer == GUARD_PRODUCER, line


def _add(counting: Counting, event: SeenUsage, *, is_guards: bool) -> None:
    if is_guards:
        counting.add_guarded(event)
    else:
        counting.add(event)
