"""Rollups of meters that look at a usage day as a whole: maximum, latest, unique count, time-weighted sum.

They are made anew from all effective events posted so far, never from differences. What a posting day books is the
difference between the quantities with and without it; each event's part of it belongs to its own rule version.
"""

from collections.abc import Sequence
from datetime import date

from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.calendar import DAY_US, days_between, start_of
from billing_pipeline.metering.meter_relation import load_meters
from billing_pipeline.metering.stage import SQL, Workshop, receipt_days_for, scan
from billing_pipeline.schemas.table import Column, ColumnType
from billing_pipeline.schemas.tables import UNIQUE_USAGE_EVENTS, USAGE_CORRECTIONS, USAGE_ROLLUPS

USAGE_DAY_COLUMNS = (
    Column("usage_day", ColumnType.DAY, "a usage day that is touched"),
    Column("ends_at_us", ColumnType.WHOLE, "first microsecond after it"),
)
_STEPS = ("group_states", "marginals", "marginal_rollups")


def name_marginal_rollups(workshop: Workshop, session: Session, days: Sequence[date]) -> None:
    """Name `marginal_rollups` of some posting days; `metered_usage`, `meters` and `posting_days` are there."""
    touched = [
        row[0]
        for row in session.rows(
            "SELECT DISTINCT u.usage_day FROM metered_usage AS u INNER JOIN meters AS m ON u.rule_version = "
            "m.rule_version AND u.unit = m.unit AND u.dimensions = m.dimensions "
            "WHERE m.aggregation NOT IN ('sum', 'count')"
        )
    ]
    usage_days = sorted(day for day in touched if isinstance(day, date))
    if not usage_days:
        session.load("marginal_rollups", USAGE_ROLLUPS.columns, [])
        return
    session.load("usage_days", USAGE_DAY_COLUMNS, [(day, start_of(day) + DAY_US) for day in usage_days])
    # Whatever was posted for these days, from the first receipt day that could hold it to the last posting day.
    receipt_days = receipt_days_for(workshop, days_between(usage_days[0], max(days)))
    scan(workshop, session, "day_events", UNIQUE_USAGE_EVENTS, receipt_days)
    scan(workshop, session, "day_corrections", USAGE_CORRECTIONS, receipt_days)
    session.define("posted", SQL / "posted.sql")
    load_meters(workshop, session, "day_meters", "posted")
    session.keep("group_rows", SQL / "group_rows.sql")
    for step in _STEPS:
        session.keep(step, SQL / f"{step}.sql")
