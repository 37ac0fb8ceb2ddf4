"""Makes the partitions of `anomaly_report` from the rollups."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from billing_pipeline.guardrails.anomalies.judged_day import DAYS_BACK, JudgedDay, judge_day
from billing_pipeline.guardrails.anomalies.paused import paused_scopes
from billing_pipeline.guardrails.scope import customer_scope, project_scope
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.stage import Draft, StageResult, Workshop, finish
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.schemas.tables import ANOMALY_REPORT, USAGE_ROLLUPS

if TYPE_CHECKING:
    from sqlalchemy import Engine

SQL = Path(__file__).parent / "sql"
DAYS_IN_A_PASS = 7
"""Rows of so many days are held in memory at once."""


class _Key(NamedTuple):
    """Whose usage of what."""

    customer_id: str
    project_id: str
    meter: str
    unit: str


def report_anomalies(workshop: Workshop, control: "Engine", days: Sequence[date]) -> StageResult:
    """Make the partitions of some posting days.

    Only usage booked on its own day counts: what came late, or corrected another day, says nothing of how much was
    used on the day. The same rollups, and the same pauses on the day, give the same rows.
    """
    draft = Draft(workshop, ANOMALY_REPORT)
    read = {USAGE_ROLLUPS.name: workshop.lake.snapshot(USAGE_ROLLUPS)}
    wanted = sorted(set(days))
    with workshop.engine.session() as session:
        for start in range(0, len(wanted), DAYS_IN_A_PASS):
            _write(workshop, control, session, draft, wanted[start : start + DAYS_IN_A_PASS])
    return finish((draft,), read)


def _write(
    workshop: Workshop, control: "Engine", session: Session, draft: Draft, days: Sequence[date]
) -> None:
    first, last = days[0] - timedelta(days=DAYS_BACK), days[-1]
    files = [file.path for file in workshop.lake.files(USAGE_ROLLUPS) if first <= file.key.day <= last]
    session.scan("rollups", USAGE_ROLLUPS, files)
    paused = paused_scopes(control, days)
    rows: dict[date, list[tuple[object, ...]]] = {day: [] for day in days}
    counts: dict[date, Counter[str]] = {day: Counter() for day in days}
    for key, used in _used(session):
        for day in days:
            judged = judge_day(day, used)
            if judged is not None:
                is_paused = bool(
                    {
                        (day, customer_scope(key.customer_id)),
                        (day, project_scope(key.customer_id, key.project_id)),
                    }
                    & paused
                )
                rows[day].append(_row(day, key, judged, is_paused=is_paused))
                counts[day][judged.severity] += 1
    for day in days:
        session.load("judged", ANOMALY_REPORT.columns, rows[day])
        draft.write(session, "judged", PartitionKey(day), counts=dict(sorted(counts[day].items())))


def _used(session: Session) -> Iterator[tuple[_Key, dict[date, int]]]:
    """By customer, project, meter and unit what was used on each day, in 10⁻⁹ units."""
    rows = (row for chunk in session.chunks((SQL / "used_by_day.sql").read_text("utf-8")) for row in chunk)
    for key, group in groupby(rows, key=lambda row: _Key(*map(str, row[:4]))):
        yield (
            key,
            {
                day: _whole(quantity)
                for *_, day, quantity in group
                if isinstance(day, date) and isinstance(quantity, Decimal)
            },
        )


def _whole(quantity: Decimal) -> int:
    return int(quantity.scaleb(9))


def _row(day: date, key: _Key, judged: JudgedDay, *, is_paused: bool) -> tuple[object, ...]:
    decision = "paused" if is_paused else "none" if judged.severity == "none" else "reported"
    return (
        day,
        *key,
        _decimal(judged.actual),
        _decimal(judged.expected),
        _decimal(judged.threshold),
        _decimal(judged.deviation),
        judged.history_days,
        judged.severity,
        decision,
    )


def _decimal(whole: int | None) -> Decimal | None:
    return None if whole is None else Decimal(whole).scaleb(-9)
