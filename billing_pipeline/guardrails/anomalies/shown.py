"""What people are shown of a day's report: what stands out, the farthest first, with the weeks before it."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from billing_pipeline.contract.decimals import plain
from billing_pipeline.metering.stage import Workshop, scan
from billing_pipeline.schemas.table import pick
from billing_pipeline.schemas.tables import ANOMALY_REPORT

SHOWN_MOST = 20
DAYS_SHOWN = 28

KEY_COLUMNS = pick(ANOMALY_REPORT.columns, "customer_id project_id meter unit")


class Point(NamedTuple):
    """A day of a series."""

    day: date
    actual: Decimal
    expected: Decimal | None


class Anomaly(NamedTuple):
    """A row of the report that stands out, and the days up to it."""

    customer_id: str
    project_id: str
    meter: str
    unit: str
    actual: Decimal
    expected: Decimal
    threshold: Decimal
    deviation: Decimal
    severity: str
    decision: str
    series: tuple[Point, ...]


def shown_days(workshop: Workshop, days: Sequence[date]) -> dict[date, list[Anomaly]]:
    """Of each of some days the rows of severity low or high, the highest and farthest first, at most twenty."""
    return {day: _anomalies(workshop, day) for day in days}


def table_text(anomalies: Sequence[Anomaly]) -> str:
    """The anomalies of a day as a Markdown table."""
    if not anomalies:
        return "Nothing stands out."
    rows = [
        f"| {each.customer_id} | {each.project_id} | {each.meter} | {plain(each.actual)} {each.unit} "
        f"| {plain(each.expected)} | {plain(each.deviation)} | {each.severity} | {each.decision} |"
        for each in anomalies
    ]
    head = "| customer | project | meter | actual | expected | deviation | severity | decision |"
    return "\n".join([head, "|---|---|---|---:|---:|---:|---|---|", *rows])


def _anomalies(workshop: Workshop, day: date) -> list[Anomaly]:
    back = [day - timedelta(days=each) for each in range(DAYS_SHOWN)]
    with workshop.engine.session() as session:
        scan(workshop, session, "reports", ANOMALY_REPORT, back)
        found = session.rows(
            "SELECT customer_id, project_id, meter, unit, actual, expected, threshold, deviation, severity, decision "
            f"FROM reports WHERE posting_day = DATE '{day}' AND severity <> 'none' "
            "ORDER BY severity, abs(deviation) DESC, customer_id, project_id, meter, unit "
            f"LIMIT {SHOWN_MOST}"
        )
        session.load("stood_out", KEY_COLUMNS, [row[:4] for row in found])
        rows = session.rows(
            "SELECT customer_id, project_id, meter, unit, posting_day, actual, expected "
            "FROM reports JOIN stood_out USING (customer_id, project_id, meter, unit) ORDER BY posting_day"
        )
    series: dict[tuple[object, ...], list[Point]] = {}
    for *key, at, actual, expected in rows:
        point = Point(at, actual, expected)  # type: ignore[arg-type]  # as the table's columns
        series.setdefault(tuple(key), []).append(point)
    return [Anomaly._make((*row, tuple(series[row[:4]]))) for row in found]
