"""The partitions of `anomaly_report`, made of rollups as a close leaves them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing_pipeline.control.database import writing
from billing_pipeline.control.guard_tables import GUARD_STOP_CHANGES
from billing_pipeline.guardrails.anomalies import plot
from billing_pipeline.guardrails.anomalies.plot import plotted
from billing_pipeline.guardrails.anomalies.report import report_anomalies
from billing_pipeline.guardrails.anomalies.shown import shown_days, table_text
from billing_pipeline.lake.engine import Engine
from billing_pipeline.metering.calendar import start_of
from billing_pipeline.metering.stage import Draft
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.schemas.tables import ANOMALY_REPORT, USAGE_ROLLUPS

LAST = date(2026, 11, 30)
OLD, NEW = "2023-11-01", "2026-10-16"
Rows = Callable[[Pipeline, str], list[tuple[Any, ...]]]


def rollup(day: date, quantity: str, **fields: object) -> tuple[object, ...]:
    """A row of the rollups: tokens of acme's project p on their own day, unless told otherwise."""
    row: dict[str, object] = {
        "posting_day": day,
        "usage_day": day,
        "rule_version": NEW,
        "kind": "on_time",
        "customer_id": "acme",
        "project_id": "p",
        "meter": "llm_tokens",
        "unit": "token",
        "dimensions": "{}",
        "quantity": Decimal(quantity),
        "event_count": 1,
    }
    row |= fields
    return tuple(row[name] for name in USAGE_ROLLUPS.column_names)


def put(pipeline: Pipeline, rows: Sequence[tuple[object, ...]]) -> None:
    """Write rollups, as if the days had been closed."""
    draft = Draft(pipeline.workshop, USAGE_ROLLUPS)
    keys = sorted({PartitionKey(row[0], str(row[2])) for row in rows}, key=str)  # type: ignore[arg-type]  # a day
    with pipeline.engine.session() as session:
        for key in keys:
            draft.write_rows(session, [row for row in rows if (row[0], row[2]) == key.values()], key)
    draft.commit()


def days_before(count: int) -> list[date]:
    """The days before the last, in order."""
    return [LAST - timedelta(days=each) for each in range(count, 0, -1)]


@pytest.fixture
def reported(pipeline: Pipeline) -> Pipeline:
    """Twenty even days of three customers; on the last one of them ran away, and another one stopped."""
    rows = [
        rollup(day, "100.5", customer_id=customer)
        for day in days_before(20)
        for customer in ("acme", "bolt", "calm")
    ]
    rows += [rollup(LAST, "5000"), rollup(LAST, "101", customer_id="calm")]
    put(pipeline, rows)
    return pipeline


def test_each_customer_is_told_with_what_was_expected(reported: Pipeline, rows: Rows) -> None:
    """Exact quantities; what stopped has a row too."""
    result = report_anomalies(reported.workshop, reported.control, [LAST])
    assert rows(
        reported,
        "SELECT customer_id, actual, expected, threshold, deviation, history_days, severity, decision "
        "FROM anomaly_report ORDER BY customer_id",
    ) == [
        ("acme", Decimal(5000), Decimal("100.5"), Decimal("301.5"), Decimal(195), 20, "high", "reported"),
        ("bolt", Decimal(0), Decimal("100.5"), Decimal("301.5"), Decimal(-4), 20, "low", "reported"),
        ("calm", Decimal(101), Decimal("100.5"), Decimal("301.5"), Decimal(0), 20, "none", "none"),
    ]
    (partition,) = result.partitions
    assert (partition.rows, partition.counts) == (3, {"high": 1, "low": 1, "none": 1})


def test_usage_of_both_rule_versions_and_all_dimensions_is_one(pipeline: Pipeline, rows: Rows) -> None:
    """A day on which the rules change, and models of which each has a rollup."""
    parts = [
        {"rule_version": OLD},
        {"rule_version": NEW},
        {"rule_version": NEW, "dimensions": '{"model":"m"}'},
    ]
    put(pipeline, [rollup(LAST, "10", **part) for part in parts])
    report_anomalies(pipeline.workshop, pipeline.control, [LAST])
    assert rows(pipeline, "SELECT actual, severity FROM anomaly_report") == [(Decimal(30), "none")]


def test_late_usage_and_corrections_do_not_count(pipeline: Pipeline, rows: Rows) -> None:
    """They say nothing of how much was used on the day they are booked on."""
    put(
        pipeline,
        [
            *(rollup(day, "10") for day in days_before(10)),
            rollup(LAST, "11"),
            rollup(LAST, "9000", kind="late", usage_day=LAST - timedelta(days=3)),
            rollup(LAST, "-10", kind="correction", usage_day=LAST - timedelta(days=2)),
        ],
    )
    report_anomalies(pipeline.workshop, pipeline.control, [LAST])
    assert rows(pipeline, "SELECT actual, severity FROM anomaly_report") == [(Decimal(11), "none")]


def test_the_same_rollups_give_the_same_partitions(reported: Pipeline) -> None:
    """Together or one by one, and again: the content hashes are the same."""
    days = [LAST - timedelta(days=each) for each in range(9, -1, -1)]
    together = report_anomalies(reported.workshop, reported.control, days)
    one_by_one = [report_anomalies(reported.workshop, reported.control, [day]) for day in days]
    assert [each.content_hash for each in together.partitions] == [
        partition.content_hash for each in one_by_one for partition in each.partitions
    ]


def test_spark_reports_the_same(reported: Pipeline, spark_engine: Engine) -> None:
    """The statistic is taken in Python; both engines only add up and write."""
    duckdb = report_anomalies(reported.workshop, reported.control, [LAST])
    workshop = replace(reported.workshop, engine=spark_engine)
    spark = report_anomalies(workshop, reported.control, [LAST])
    assert spark.partitions == duckdb.partitions


def test_what_velocity_paused_on_the_day_is_told(reported: Pipeline, rows: Rows) -> None:
    """Of a project its own, of a customer all of it; not what people paused, nor on another day."""
    noon = start_of(LAST) + 43_200_000_000

    def change(scope: str, who: str = "velocity", at_us: int = noon) -> dict[str, object]:
        return {
            "scope": scope,
            "kind": "pause",
            "active": True,
            "resumes_at": None,
            "who": who,
            "why": "too fast",
            "recorded_at": at_us,
        }

    with writing(reported.control) as connection:
        connection.execute(
            GUARD_STOP_CHANGES.insert(),
            [
                change("project:acme/p"),
                change("customer:bolt"),
                change("customer:calm", who="ops@example.com"),
                change("customer:calm", at_us=noon - 86_400_000_000),
            ],
        )
    report_anomalies(reported.workshop, reported.control, [LAST])
    assert rows(reported, "SELECT customer_id, decision FROM anomaly_report ORDER BY ALL") == [
        ("acme", "paused"),
        ("bolt", "paused"),
        ("calm", "none"),
    ]


def test_a_day_without_rollups_has_an_empty_partition(pipeline: Pipeline) -> None:
    """It is made all the same, so that it is known to have been looked at."""
    (partition,) = report_anomalies(pipeline.workshop, pipeline.control, [LAST]).partitions
    assert (partition.rows, partition.counts) == (0, {})


def test_what_stands_out_is_shown_with_the_weeks_before(reported: Pipeline) -> None:
    """The highest severity first, as a table and, with matplotlib, as a picture that is the same every time."""
    report_anomalies(reported.workshop, reported.control, [*days_before(20), LAST])
    anomalies = shown_days(reported.workshop, [LAST])[LAST]
    assert [(each.customer_id, each.severity) for each in anomalies] == [("acme", "high"), ("bolt", "low")]
    assert len(anomalies[0].series) == 21
    assert table_text(anomalies).splitlines()[2] == (
        "| acme | p | llm_tokens | 5000 token | 100.5 | 195 | high | reported |"
    )
    assert table_text([]) == "Nothing stands out."
    pytest.importorskip("matplotlib")
    picture = plotted(anomalies)
    assert picture is not None
    assert picture.startswith("iVBOR")
    assert picture == plotted(anomalies)
    assert plotted([]) is None


def test_without_matplotlib_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch, reported: Pipeline) -> None:
    """It is an extra; the table says the same."""
    report_anomalies(reported.workshop, reported.control, [LAST])
    monkeypatch.setattr(plot, "find_spec", lambda _name: None)
    assert plotted(shown_days(reported.workshop, [LAST])[LAST]) is None


def test_every_row_of_the_report_can_be_read_again(reported: Pipeline, rows: Rows) -> None:
    """Its columns are those that its table declares."""
    report_anomalies(reported.workshop, reported.control, [LAST])
    assert len(rows(reported, "SELECT * FROM anomaly_report")[0]) == len(ANOMALY_REPORT.columns)
