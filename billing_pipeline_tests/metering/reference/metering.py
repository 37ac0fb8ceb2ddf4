"""The reference model of metering: the whole log in, every table out. Slow, and plain: nothing is kept that can be
worked out anew, nothing of the pipeline is imported. Read it from the top like the rules.
"""  # noqa: D205 - no summary line of its own

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from billing_pipeline_tests.metering.reference.calendar import book_at, policy_of, receipt_day
from billing_pipeline_tests.metering.reference.door import Refusal, Registry, refusal
from billing_pipeline_tests.metering.reference.log import DAY_US, Book, Control, Correction, Entry, Usage
from billing_pipeline_tests.metering.reference.state import TOO_LARGE, Part, State, corrected, state_of

Identity = tuple[str, str]


@dataclass(frozen=True)
class Event:
    """A usage event that counts, with the day and the rules it belongs to for ever."""

    offset: int
    usage: Usage
    receipt_day: int
    usage_day: int
    posting_day: int
    version: str


@dataclass(frozen=True)
class Change:
    """A correction and what became of it; the states are those of the event before and after it, if it was applied."""

    offset: int
    receipt_day: int
    outcome: str
    event: Event | None = None
    old: State | None = None
    new: State | None = None

    @property
    def posting_day(self) -> int:
        """The day into which it is booked."""
        assert self.event is not None
        return max(self.event.usage_day, self.receipt_day)


@dataclass(frozen=True)
class Row:
    """What is booked: a part of an event, added (sign 1) or taken back (sign -1)."""

    posting_day: int
    kind: str
    offset: int
    event: Event
    sign: int
    state: State
    part: Part


class Metering:
    """Everything that follows from a log and the rule books.

    Attributes:
        receipt_days: of every record, by offset.
        rejected: reason code and field, by offset.
        valid: every valid record, in the order of the log.
        repeated: outcome and the offset that counted, by offset.
        events: the usage events that count, by offset.
        changes: the corrections that were looked at, in the order of the log.
    """

    def __init__(self, books: Sequence[Book], log: Sequence[Entry]) -> None:
        self.books = books
        self.log = log
        self.receipt_days = {entry.offset: receipt_day(books, entry.received_at) for entry in log}
        self.rejected: dict[int, Refusal] = {}
        self.valid: list[Entry] = []
        self.repeated: dict[int, tuple[str, int]] = {}
        self.events: dict[int, Event] = {}
        self.changes: list[Change] = []
        for entry in log:
            if isinstance(entry.record, Control):
                continue
            if found := refusal(books, log, entry):
                self.rejected[entry.offset] = found
            else:
                self.valid.append(entry)
        for entry in self.valid:
            if found_again := self._repetition(entry):
                self.repeated[entry.offset] = found_again
            elif isinstance(entry.record, Usage):
                self.events[entry.offset] = self.event(entry, entry.record)
            elif isinstance(entry.record, Correction):
                self.changes.append(self._change(entry, entry.record))

    # Identity.

    def _repetition(self, entry: Entry) -> tuple[str, int] | None:
        """Outcome and counted offset of a record that had been received before; None if it is looked at."""
        before = [
            each
            for each in self.valid
            if each.offset < entry.offset
            and identity(each) == identity(entry)
            and self.receipt_days[each.offset] >= self._remembered_from(entry)
        ]
        if not before:
            return None
        first = before[0]
        if entry.record != first.record:
            return "conflict", first.offset
        if isinstance(entry.record, Usage):
            return "duplicate", first.offset
        # A correction that was refused has not counted: the same one is looked at anew until one was applied.
        applied = [
            change.offset
            for change in self.changes
            if change.outcome == "applied" and change.offset in {each.offset for each in before}
        ]
        return ("duplicate", applied[0]) if applied else None

    def _remembered_from(self, entry: Entry) -> int:
        """The first receipt day whose records the identity of this one is compared with."""
        day = self.receipt_days[entry.offset]
        window = policy_of(self.books, day).dedup_window_days
        if window is None or identity(entry) in self._never_forgotten(day):
            return -(10**9)
        return day - window

    def _never_forgotten(self, day: int) -> set[Identity]:
        """The identities of corrections, of what they correct, and of what was sent again after its rejection, whatever
        became of it: those received by the end of a receipt day.
        """  # noqa: D205 - one sentence, and it takes two lines
        found: set[Identity] = set()
        for entry in self.log:
            if entry.first_received_at is not None and self.receipt_days[entry.offset] <= day:
                found.add(identity(entry))
        for entry in self.valid:
            if isinstance(entry.record, Correction) and self.receipt_days[entry.offset] <= day:
                found |= {identity(entry), entry.record.corrects}
        return found

    def event(self, entry: Entry, usage: Usage) -> Event:
        """A valid usage event in its place."""
        day, usage_day = self.receipt_days[entry.offset], usage.occurred_at // DAY_US
        book = book_at(self.books, usage.occurred_at)
        assert book is not None
        return Event(entry.offset, usage, day, usage_day, max(day, usage_day), book.version)

    # Corrections.

    def _change(self, entry: Entry, correction: Correction) -> Change:
        day = self.receipt_days[entry.offset]
        named = [
            each
            for each in self.valid
            if each.offset < entry.offset and identity(each) == correction.corrects
        ]
        counted = [self.events[each.offset] for each in named if each.offset in self.events]
        if not counted:
            return Change(entry.offset, day, "not_correctable" if named else "original_not_found")
        event = counted[-1]
        old = self.state(event, self.changes)
        new = corrected(old, correction)
        outcome = self._outcome(entry, correction, event, new)
        if outcome != "applied":
            return Change(entry.offset, day, outcome)
        return Change(entry.offset, day, outcome, event, old, new)

    def _outcome(self, entry: Entry, correction: Correction, event: Event, new: State) -> str:
        if correction.action == "replace":
            if unknown := Registry(self.log, entry.offset).unknown(new.customer, new.project):
                return f"unknown_{unknown}"
            if new.unit not in self.book(event.version).units:
                return "unknown_unit"
        if new.quantity < 0:
            return "effective_negative"
        return "effective_too_large" if new.quantity >= TOO_LARGE else "applied"

    def state(self, event: Event, changes: Sequence[Change]) -> State:
        """The state of an event after some changes."""
        states = [each.new for each in changes if each.event == event and each.new is not None]
        return states[-1] if states else state_of(event.usage)

    def book(self, version: str) -> Book:
        """The rule book of a version."""
        return next(book for book in self.books if book.version == version)

    # What is booked.

    def rows(self) -> list[Row]:
        """Every part that is booked, of events and of corrections that were applied."""
        found: list[Row] = []
        for event in self.events.values():
            kind = "on_time" if event.posting_day == event.usage_day else "late"
            state = state_of(event.usage)
            found += [
                Row(event.posting_day, kind, event.offset, event, 1, state, part) for part in state.parts()
            ]
        for change in self.changes:
            if change.event is None:
                continue
            for sign, states in ((-1, change.old), (1, change.new)):
                assert states is not None
                found += [
                    Row(change.posting_day, "correction", change.offset, change.event, sign, states, part)
                    for part in states.parts()
                ]
        return found

    def effective(self, events_until: int, changes_until: int) -> list[tuple[Event, State]]:
        """Events posted by a day in the states that the corrections posted by another one left them in."""
        changes = [
            each for each in self.changes if each.event is not None and each.posting_day <= changes_until
        ]
        return [
            (event, self.state(event, changes))
            for event in self.events.values()
            if event.posting_day <= events_until
        ]


def identity(entry: Entry) -> Identity:
    """Source and id of a valid record."""
    record = entry.record
    assert isinstance(record, Usage | Correction)
    return record.source, record.id


def posting_days(metering: Metering) -> list[int]:
    """The days into which anything is booked, in order."""
    return sorted({row.posting_day for row in metering.rows()})


Totals = dict[tuple[Any, ...], tuple[Fraction, int]]
"""Quantity and event count by some key; a key with zero of both is left out."""


def added(*several: Totals) -> Totals:
    """The sum of some totals."""
    quantities: dict[tuple[Any, ...], Fraction] = defaultdict(Fraction)
    counts: dict[tuple[Any, ...], int] = defaultdict(int)
    for totals in several:
        for key, (quantity, count) in totals.items():
            quantities[key] += quantity
            counts[key] += count
    return {key: (quantities[key], counts[key]) for key in quantities if quantities[key] or counts[key]}


def negative(totals: Totals) -> Totals:
    """The same with the other sign."""
    return {key: (-quantity, -count) for key, (quantity, count) in totals.items()}
