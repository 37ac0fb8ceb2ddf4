"""Conflicts that hold back invoices: one id sent with different contents, under a policy that blocks the customer."""

from collections.abc import Sequence
from datetime import date
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.calendar import days_between
from billing_pipeline.metering.stage import Workshop, scan
from billing_pipeline.schemas.tables import DUPLICATE_USAGE_EVENTS, UNIQUE_USAGE_EVENTS, USAGE_CORRECTIONS

SQL = Path(__file__).parent / "sql"
_COLUMNS = "customer_id, receipt_day, usage_day, source, id, queue_offset"


class Conflict(NamedTuple):
    """A record that was sent again with other content, as it concerns one customer."""

    customer_id: str
    receipt_day: date
    usage_day: date
    source: str
    id: str
    queue_offset: int

    @property
    def message(self) -> str:
        """What is in conflict, and what to do."""
        return (
            f"the event {self.source} {self.id} of {self.usage_day} came again on {self.receipt_day} with other "
            f"content (offset {self.queue_offset}); say what it counts for by a correction of it, one that replaces "
            "its quantity by the same one if the first is right"
        )


def unsettled_conflicts(
    workshop: Workshop, session: Session, receipt_days: Sequence[date]
) -> dict[str, list[Conflict]]:
    """By customer the conflicts of some receipt days that still block at the end of the last one."""
    blocking = [day for day in receipt_days if workshop.calendar.blocks_conflicts(day)]
    scan(workshop, session, "repeated", DUPLICATE_USAGE_EVENTS, blocking)
    session.define("conflicts", SQL / "conflicts.sql")
    counted = [row[0] for row in session.rows("SELECT DISTINCT counted_receipt_day FROM conflicts")]
    counted_days = sorted(day for day in counted if isinstance(day, date))
    if not counted_days:
        return {}
    scan(workshop, session, "counted_events", UNIQUE_USAGE_EVENTS, counted_days)
    since = days_between(counted_days[0], max(receipt_days))
    scan(workshop, session, "day_corrections", USAGE_CORRECTIONS, since)
    session.define("unsettled_conflicts", SQL / "unsettled_conflicts.sql")
    rows = session.rows(f"SELECT {_COLUMNS} FROM unsettled_conflicts ORDER BY {_COLUMNS}")
    found = [Conflict(*row) for row in rows]  # type: ignore[arg-type]  # rows as declared
    return {customer_id: list(group) for customer_id, group in groupby(found, itemgetter(0))}
