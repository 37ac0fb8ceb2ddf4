"""The records that were refused by a code, and which of them were sent again before."""

from datetime import date
from pathlib import Path

from billing_pipeline.contract.reason_codes import CorrectionOutcome, RejectionCode
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.stage import Workshop, scan
from billing_pipeline.schemas.table import Column, ColumnType
from billing_pipeline.schemas.tables import (
    RAW_USAGE_EVENTS,
    REJECTED_USAGE_EVENTS,
    USAGE_CORRECTIONS,
    VALID_USAGE_EVENTS,
)

SQL = Path(__file__).parent / "sql"

_ASKED_COLUMNS = (
    Column("reason_code", ColumnType.TEXT, "code of the rejection, or outcome of the correction"),
    Column("records_most", ColumnType.WHOLE, "so many are sent at most"),
)
_NO_LIMIT = (1 << 63) - 1


def known_codes() -> set[str]:
    """Every code by which a record or a correction can be refused."""
    codes = {code.value for code in (*RejectionCode, *CorrectionOutcome)}
    return codes - {CorrectionOutcome.APPLIED.value}


def find_refused(
    workshop: Workshop, session: Session, reason: str, day: date | None, limit: int | None
) -> None:
    """Name `found`: every record refused by the code, with its place among those to be sent, or why it is not.

    Args:
        workshop: the lake, in which everything is landed.
        session: gets the relation, besides `rejected` and `corrections`, from which it is made.
        reason: the code.
        day: only what was received on this receipt day.
        limit: only so many are to be sent, the first of the log.
    """
    days = None if day is None else [day]
    session.load("asked", _ASKED_COLUMNS, [(reason, _NO_LIMIT if limit is None else limit)])
    scan(workshop, session, "rejected", REJECTED_USAGE_EVENTS, days)
    scan(workshop, session, "corrections", USAGE_CORRECTIONS, days)
    # A record comes after the one it sends again, so on the same receipt day or a later one.
    raw = workshop.lake.files(RAW_USAGE_EVENTS)
    session.scan(
        "raw",
        RAW_USAGE_EVENTS,
        [file.path for file in raw if day is None or file.key.day >= day],
    )
    session.keep("resent", SQL / "requeue_resent.sql")
    later = [
        row[0] for row in session.rows("SELECT DISTINCT receipt_day FROM resent") if isinstance(row[0], date)
    ]
    scan(workshop, session, "later_valid", VALID_USAGE_EVENTS, later)
    scan(workshop, session, "later_rejected", REJECTED_USAGE_EVENTS, later)
    session.keep("found", SQL / "requeue_found.sql")


def codes_found(session: Session) -> dict[str, int]:
    """The codes in `rejected` and `corrections`, with how many records were refused by each."""
    return counts(
        session,
        "SELECT code, count(*) FROM (SELECT reason_code AS code FROM rejected UNION ALL SELECT outcome AS code "
        f"FROM corrections WHERE outcome <> '{CorrectionOutcome.APPLIED.value}') GROUP BY code ORDER BY code",
    )


def counts(session: Session, query: str) -> dict[str, int]:
    """The rows of a query for names and numbers."""
    return {str(name): int(str(count)) for name, count in session.rows(query)}
