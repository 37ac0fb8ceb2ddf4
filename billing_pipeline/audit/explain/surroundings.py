"""What stands around a line: other lines of its key, re-ratings of its usage period, the partitions it rests on."""

from typing import TYPE_CHECKING, Any

from billing_pipeline.audit.explain.explanation import OtherLine, PartitionRead, Rerated
from billing_pipeline.audit.trace_line import LineTrace
from billing_pipeline.audit.trace_rows import LineRow
from billing_pipeline.audit.values import sql_text
from billing_pipeline.control.partition_records import latest
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.stage import Workshop, scan
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.schemas.tables import INVOICE_LINES, RATED_PERIODS, USAGE_ROLLUPS

if TYPE_CHECKING:
    from sqlalchemy import Engine


def reratings(workshop: Workshop, session: Session, line: LineRow) -> tuple[Rerated, ...]:
    """The re-ratings of the line's usage period up to its invoice."""
    scan(workshop, session, "periods", RATED_PERIODS)
    rows: list[Any] = session.rows(
        "SELECT period_end_day, rules, rerated_by, rerated_why FROM periods "
        f"WHERE customer_id = {sql_text(line.customer_id)} AND usage_period = DATE '{line.usage_period}' "
        f"AND rerated_by IS NOT NULL AND period_end_day <= DATE '{line.period_end_day}' ORDER BY period_end_day"
    )
    return tuple(Rerated(day, rules or "", who, why) for day, rules, who, why in rows)


def other_lines(workshop: Workshop, session: Session, line: LineRow) -> tuple[OtherLine, ...]:
    """The lines of the same key in other invoices, oldest first."""
    scan(workshop, session, "lines", INVOICE_LINES)
    same = (
        *("customer_id", "project_id", "plan", "charge", "meter", "dimensions", "rule_version", "currency"),
        *("component", "term"),
    )
    conditions = " AND ".join(f"{name} = {sql_text(str(getattr(line, name)))}" for name in same)
    rows: list[Any] = session.rows(
        f"SELECT {', '.join(OtherLine._fields)} FROM lines WHERE {conditions} "
        f"AND usage_period = DATE '{line.usage_period}' AND line_id <> {sql_text(line.line_id)} ORDER BY billing_period"
    )
    return tuple(OtherLine(*row) for row in rows)


def partitions(control: "Engine", trace: LineTrace) -> tuple[PartitionRead, ...]:
    """The partitions that the line and its rollup rows stand in, as they were recorded."""
    asked = {
        INVOICE_LINES.name: [PartitionKey(trace.line.period_end_day)],
        USAGE_ROLLUPS.name: sorted(
            {PartitionKey(row.posting_day, row.rule_version) for row in trace.rollups}, key=str
        ),
    }
    return tuple(
        PartitionRead(table, str(key), found.content_hash, found.snapshot_id)
        for table, keys in asked.items()
        for records in [latest(control, table)]
        for key in keys
        if (found := records.get(str(key))) is not None
    )
