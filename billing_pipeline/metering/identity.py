"""Identity: among all valid records with the same (source, id) the first in the log counts, on whatever day.

Hashes of keys say where to look; exact keys decide. History is read through its key files alone, but for the few
records whose hash was seen before. A dedup window limits how far back they are read, except for identities that never
expire: those of corrections, of what they correct, and of records that were sent again.
"""

from collections.abc import Sequence
from datetime import date, timedelta

from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.corrections import apply_corrections
from billing_pipeline.metering.stage import SQL, Draft, StageResult, Workshop, finish, scan
from billing_pipeline.schemas.table import Column, ColumnType, PartitionKey
from billing_pipeline.schemas.tables import (
    DUPLICATE_USAGE_EVENTS,
    RAW_USAGE_EVENTS,
    REGISTRY_CHANGES,
    UNIQUE_USAGE_EVENTS,
    USAGE_CORRECTION_KEYS,
    USAGE_CORRECTIONS,
    USAGE_EVENT_KEYS,
    VALID_USAGE_EVENTS,
)

WINDOW_COLUMNS = (
    Column("receipt_day", ColumnType.DAY, "a day whose records are identified"),
    Column("oldest_day", ColumnType.DAY, "the oldest receipt day they are compared with"),
)


def identify(workshop: Workshop, days: Sequence[date]) -> StageResult:
    """Make the partitions of unique events, duplicates and corrections of some receipt days."""
    tables = (UNIQUE_USAGE_EVENTS, DUPLICATE_USAGE_EVENTS, USAGE_CORRECTIONS)
    unique, duplicate, corrections = (Draft(workshop, table) for table in tables)
    inputs = (RAW_USAGE_EVENTS, VALID_USAGE_EVENTS, USAGE_EVENT_KEYS, USAGE_CORRECTION_KEYS, REGISTRY_CHANGES)
    read = {table.name: workshop.lake.snapshot(table) for table in inputs}
    with workshop.engine.session() as session:
        _find_redelivered(workshop, session, days)
        apply_corrections(workshop, session, days)
        session.define("duplicates", SQL / "duplicates.sql")
        for day in days:
            key, of_day = PartitionKey(day), f"receipt_day = DATE '{day}'"
            scan(workshop, session, "valid", VALID_USAGE_EVENTS, [day])
            # Made once: what is written in several files is read once for each of them.
            session.keep("split_parts", SQL / "split_parts.sql")
            session.define("unique_events", SQL / "unique_events.sql")
            unique.write(session, "unique_events", key, offsets_of="valid")
            duplicate.write(session, "duplicates", key, of_day, _by_outcome(session, "duplicates", of_day))
            counts = _by_outcome(
                session, "corrections", f"{of_day} AND sign <> -1 AND (sign = 0 OR allocation_index = 0)"
            )
            corrections.write(session, "corrections", key, of_day, counts)
    return finish((unique, duplicate, corrections), read)


def _find_redelivered(workshop: Workshop, session: Session, days: Sequence[date]) -> None:
    """One pass over all the days: `redelivered` names every record of theirs that does not count."""
    windows = [(day, _oldest_day(workshop, day)) for day in days]
    session.load("windows", WINDOW_COLUMNS, windows)
    chosen, oldest = set(days), min(day for _, day in windows)
    keys = [file for file in workshop.lake.files(USAGE_EVENT_KEYS) if file.key.day <= max(days)]
    older = [file.path for file in keys if file.key.day < oldest]
    session.scan("day_keys", USAGE_EVENT_KEYS, [file.path for file in keys if file.key.day in chosen])
    session.scan(
        "history_keys",
        USAGE_EVENT_KEYS,
        [file.path for file in keys if file.key.day >= oldest and file.key.day not in chosen],
    )
    # Only where identities expire does it matter which never do.
    expire = any(since > date.min for _, since in windows)
    for name, table in (("correction_keys", USAGE_CORRECTION_KEYS), ("raw", RAW_USAGE_EVENTS)):
        lasting = [f.path for f in workshop.lake.files(table) if expire and f.key.day <= max(days)]
        session.scan(name, table, lasting)
    session.keep("lasting_keys", SQL / "lasting_keys.sql")
    session.keep("lasting_repeats", SQL / "lasting_repeats.sql")
    ((repeats,),) = session.rows("SELECT count(*) FROM lasting_repeats")
    session.scan("older_keys", USAGE_EVENT_KEYS, older if repeats else [])
    session.keep("repeated_keys", SQL / "repeated_keys.sql")
    touched = [row[0] for row in session.rows("SELECT DISTINCT receipt_day FROM repeated_keys")]
    in_days = [day for day in touched if isinstance(day, date)]
    scan(workshop, session, "repeated_records", VALID_USAGE_EVENTS, in_days)
    session.keep("redelivered", SQL / "redelivered.sql")


def _oldest_day(workshop: Workshop, day: date) -> date:
    window = workshop.calendar.dedup_window_days(day)
    return date.min if window is None else day - timedelta(days=window)


def _by_outcome(session: Session, relation: str, where: str) -> dict[str, int]:
    rows = session.rows(
        f"SELECT outcome, count(*) FROM {relation} WHERE {where} GROUP BY outcome ORDER BY outcome"
    )
    return {str(outcome): int(str(count)) for outcome, count in rows}
