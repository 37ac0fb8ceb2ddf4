"""Identity: among all valid records with the same (source, id) the first in the log counts, on whatever day.

Hashes of keys say where to look; exact keys decide. History is read through its key files alone, but for the few
records whose hash was seen before.
"""

from collections.abc import Sequence
from datetime import date

from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.stage import SQL, Draft, StageResult, Workshop, finish, scan
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.schemas.tables import (
    DUPLICATE_USAGE_EVENTS,
    UNIQUE_USAGE_EVENTS,
    USAGE_CORRECTIONS,
    USAGE_EVENT_KEYS,
    VALID_USAGE_EVENTS,
)


def identify(workshop: Workshop, days: Sequence[date]) -> StageResult:
    """Make the partitions of unique events, duplicates and corrections of some receipt days."""
    tables = (UNIQUE_USAGE_EVENTS, DUPLICATE_USAGE_EVENTS, USAGE_CORRECTIONS)
    unique, duplicate, corrections = (Draft(workshop, table) for table in tables)
    read = {table.name: workshop.lake.snapshot(table) for table in (VALID_USAGE_EVENTS, USAGE_EVENT_KEYS)}
    with workshop.engine.session() as session:
        _find_redelivered(workshop, session, days)
        for day in days:
            key = PartitionKey(day)
            scan(workshop, session, "valid", VALID_USAGE_EVENTS, [day])
            session.define("unique_events", SQL / "unique_events.sql")
            session.define("corrections", SQL / "corrections.sql")
            unique.write(session, "unique_events", key, offsets_of="valid")
            duplicate.write(
                session, "redelivered", key, f"receipt_day = DATE '{day}'", _by_outcome(session, day)
            )
            corrections.write(session, "corrections", key)
    return finish((unique, duplicate, corrections), read)


def _find_redelivered(workshop: Workshop, session: Session, days: Sequence[date]) -> None:
    """One pass over all the days: `redelivered` names every record of theirs that does not count."""
    chosen = set(days)
    keys = workshop.lake.files(USAGE_EVENT_KEYS)
    history = [file for file in keys if file.key.day <= max(days) and file.key.day not in chosen]
    session.scan("day_keys", USAGE_EVENT_KEYS, [file.path for file in keys if file.key.day in chosen])
    session.scan("history_keys", USAGE_EVENT_KEYS, [file.path for file in history])
    session.keep("repeated_keys", SQL / "repeated_keys.sql")
    touched = [row[0] for row in session.rows("SELECT DISTINCT receipt_day FROM repeated_keys")]
    scan(
        workshop,
        session,
        "repeated_records",
        VALID_USAGE_EVENTS,
        [day for day in touched if isinstance(day, date)],
    )
    session.keep("redelivered", SQL / "redelivered.sql")


def _by_outcome(session: Session, day: date) -> dict[str, int]:
    rows = session.rows(
        f"SELECT outcome, count(*) FROM redelivered WHERE receipt_day = DATE '{day}' GROUP BY outcome ORDER BY outcome"
    )
    return {str(outcome): int(str(count)) for outcome, count in rows}
