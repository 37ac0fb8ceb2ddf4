"""What the callers of a guard under fire know, held against its books."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, func, select

from billing_pipeline.control.guard_tables import GUARD_HOLDS, GUARD_JOURNAL, GUARD_OUTBOX
from billing_pipeline_tests.scenarios.guard_under_fire import Note

SPENT = ("settle", "late_settle")


@dataclass
class Evidence:
    """Figures, and what does not agree."""

    acts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Notes by act and answer."""
    holds: int = 0
    expired: int = 0
    settled_late: int = 0
    reserved_unknown: int = 0
    """Holds granted whose callers were killed before they could know."""
    ended_unknown: int = 0
    """Settles and releases done whose callers were killed before they could know."""
    leaked: int = 0
    double_settles: int = 0
    faults: list[str] = field(default_factory=list)


def weigh(engine: Engine, notes: Sequence[Note]) -> Evidence:
    """Hold the notes against the books of a database at rest."""
    with engine.connect() as connection:
        holds = {row["hold_id"]: row for row in connection.execute(select(GUARD_HOLDS)).mappings()}
        ends: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for kind, hold_id, spent in connection.execute(
            select(GUARD_JOURNAL.c.kind, GUARD_JOURNAL.c.reference, GUARD_JOURNAL.c.spent)
        ):
            if hold_id in holds and kind != "reserve":
                ends[hold_id].append((kind, spent))
        outbox = select(GUARD_OUTBOX.c.hold_id, func.count()).group_by(GUARD_OUTBOX.c.hold_id)
        events: dict[str, int] = {row[0]: row[1] for row in connection.execute(outbox)}
    found = Evidence(acts=Counter((note.act, note.answer) for note in notes), holds=len(holds))
    found.reserved_unknown = sum(note.was_done and note.act == "reserve" for note in notes)
    found.ended_unknown = sum(note.was_done and note.act != "reserve" for note in notes)
    _check_grants(found, notes, holds)
    told: dict[str, set[Note]] = defaultdict(set)
    for note in notes:
        if note.answer == "ended":
            told[note.hold_id].add(note)
    for hold_id, hold in holds.items():
        booked = [spent for kind, spent in ends[hold_id] if kind in SPENT]
        found.leaked += hold["state"] == "pending"
        found.expired += hold["state"] == "expired"
        found.settled_late += any(kind == "late_settle" for kind, _ in ends[hold_id])
        found.double_settles += len(booked) > 1
        settles = {note for note in told[hold_id] if note.act == "settle"}
        if len({(note.key, note.amount, note.late) for note in settles}) > 1:
            found.faults.append(f"hold {hold_id}: settled in two ways: {settles}")
        for note in told[hold_id]:
            _check_end(found, note, ends[hold_id], events.get(hold_id, 0))
    return found


def _check_grants(found: Evidence, notes: Sequence[Note], holds: dict[str, Any]) -> None:
    granted = {
        note.hold_id: note.amount for note in notes if (note.act, note.answer) == ("reserve", "granted")
    }
    for hold_id, amount in granted.items():
        hold = holds.get(hold_id)
        if hold is None or hold["amount"] != amount:
            found.faults.append(f"hold {hold_id} was granted over {amount}, but is {hold}")
    found.reserved_unknown += len(holds.keys() - granted.keys())
    for note in notes:
        if note.hold_id and note.hold_id not in holds:
            found.faults.append(f"{note} is of no hold")


def _check_end(found: Evidence, note: Note, ends: list[tuple[str, int]], events: int) -> None:
    kinds = Counter(kind for kind, _ in ends)
    if note.act == "release":
        if kinds != {"release": 1}:
            found.faults.append(f"{note} was answered, but the journal has {ends}")
        return
    kind = "late_settle" if note.late else "settle"
    expected = {"expire": 1, "late_settle": 1} if note.late else {"settle": 1}
    if kinds != expected or (kind, note.amount) not in ends:
        found.faults.append(f"{note} was answered, but the journal has {ends}")
    if events != note.sends:
        found.faults.append(f"{note} sends {note.sends} events, but {events} are in the outbox")
