"""Reads where the follower of the log is and which events it has seen, and forgets the old ones."""

from collections.abc import Sequence

from sqlalchemy import Engine, delete, select

from billing_pipeline.control.database import writing
from billing_pipeline.control.guard_tables import GUARD_POSITIONS, GUARD_WATCHED_EVENTS

POSITION = "unguarded"
KEYS_AT_ONCE = 500
FORGOTTEN_AT_ONCE = 5_000


def position(control: Engine) -> int | None:
    """The offset up to which the log has been looked at; None before the first time."""
    query = select(GUARD_POSITIONS.c.position).where(GUARD_POSITIONS.c.name == POSITION)
    with control.connect() as connection:
        return connection.execute(query).scalar()


def known_events(control: Engine, keys: Sequence[str]) -> dict[str, tuple[bool, str]]:
    """Of some events those that were seen before: whether counted, and the entries counted as JSON."""
    columns = GUARD_WATCHED_EVENTS.c
    found: dict[str, tuple[bool, str]] = {}
    with control.connect() as connection:
        for start in range(0, len(keys), KEYS_AT_ONCE):
            part = keys[start : start + KEYS_AT_ONCE]
            query = select(columns.event_key, columns.counted, columns.entries).where(
                columns.event_key.in_(part)
            )
            found |= {key: (counted, entries) for key, counted, entries in connection.execute(query)}
    return found


def forget_before(control: Engine, before_us: int) -> int:
    """Forget events seen before an instant (UTC µs), at most some thousands at once; returns how many."""
    columns = GUARD_WATCHED_EVENTS.c
    old = select(columns.event_key).where(columns.recorded_at < before_us).limit(FORGOTTEN_AT_ONCE)
    with control.connect() as connection:
        if connection.execute(old.limit(1)).first() is None:
            return 0
    with writing(control) as connection:
        return connection.execute(
            delete(GUARD_WATCHED_EVENTS).where(columns.event_key.in_(old.scalar_subquery()))
        ).rowcount
