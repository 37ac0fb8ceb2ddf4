"""The long form of `test_engines_agree`: the demo's whole month, and generated histories, by DuckDB and by Spark."""

from collections.abc import Callable, Sequence
from datetime import date

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from billing_pipeline.contract.instants import instant_text, microseconds_of
from billing_pipeline.demo.company import company_log
from billing_pipeline.invoicing.lines.rating_stage import list_invoice_lines, rate
from billing_pipeline.lake.content_hash import row_hash
from billing_pipeline.lake.engine import Engine
from billing_pipeline.metering.calendar import days_between
from billing_pipeline.metering.restated import restate
from billing_pipeline.metering.stage import StageResult
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.tables import TABLES
from billing_pipeline_tests.metering.histories import History, histories
from billing_pipeline_tests.metering.reference.metering import Metering, posting_days
from billing_pipeline_tests.metering.translation import books_of, day_of, entries_of

pytestmark = [pytest.mark.torture, pytest.mark.timeout(3000)]
Company = Callable[..., Pipeline]
Contents = dict[tuple[str, str], str]


def contents(pipeline: Pipeline) -> Contents:
    """The canonical row hash of every partition of every table, taken by one engine whoever wrote it."""
    found: Contents = {}
    with pipeline.duckdb.session() as session:
        for table in TABLES:
            files = pipeline.lake.files(table)
            for key in {file.key for file in files}:
                paths = [file.path for file in files if file.key == key]
                found[table.name, str(key)] = row_hash(session, table, paths)
    return found


def test_the_demos_month_is_the_same_on_both_engines(
    new_pipeline: Company,
    spark_engine: Engine,
    receive: Callable[..., None],
    meter: Callable[[Pipeline, Sequence[date]], StageResult],
) -> None:
    """Every partition from the log to the invoice lines: 35 days of all that the demo sends."""
    log = [
        (instant_text(microseconds_of(record.received_at)), record.log_record(position))
        for position, record in enumerate(company_log())
    ]
    days = days_between(date(2026, 10, 1), date(2026, 11, 4))
    found: list[Contents] = []
    for engine in (None, spark_engine):
        pipeline = new_pipeline()
        receive(pipeline, log)
        if engine is not None:
            pipeline.engine = engine
        meter(pipeline, days)
        restate(pipeline.workshop, days)
        rate(pipeline.workshop, days)
        list_invoice_lines(pipeline.workshop, days)
        found.append(contents(pipeline))
    assert len(found[0]) > 300
    assert found[1] == found[0]


@given(history=histories().filter(lambda history: len(history.log) >= 20))
@settings(
    max_examples=3,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_generated_histories_are_the_same_on_both_engines(
    new_pipeline: Company,
    spark_engine: Engine,
    receive: Callable[..., None],
    meter: Callable[[Pipeline, Sequence[date]], StageResult],
    history: History,
) -> None:
    """Rules that change within a day, corrections in chains, splits, windows: whatever the strategies come up with."""
    metering = Metering(history.books, history.log)
    days = [day_of(day) for day in sorted({*metering.receipt_days.values(), *posting_days(metering)})]
    usage_days = [day_of(day) for day in sorted({event.usage_day for event in metering.events.values()})]
    found: list[Contents] = []
    for engine in (None, spark_engine):
        pipeline = new_pipeline(books_of(history.books))
        receive(pipeline, entries_of(history.log))
        if engine is not None:
            pipeline.engine = engine
        meter(pipeline, days)
        if usage_days:
            restate(pipeline.workshop, usage_days)
        found.append(contents(pipeline))
    assert found[1] == found[0]
