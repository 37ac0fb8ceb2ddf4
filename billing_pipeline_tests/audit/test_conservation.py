"""Conservation: good data has no fault, and a row that is lost, doubled or changed by hand is found and named."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import pytest

from billing_pipeline.audit.conservation import line_faults, open_days, record_faults
from billing_pipeline.audit.rollup_conservation import rollup_faults
from billing_pipeline.contract.instants import instant_us
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.metering.stage import StageResult
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.table import PartitionKey, Table
from billing_pipeline.schemas.tables import (
    INVOICE_LINES,
    REJECTED_USAGE_EVENTS,
    UNIQUE_USAGE_EVENTS,
    USAGE_ROLLUPS,
    VALID_USAGE_EVENTS,
)

OLD, NEW = "2023-11-01", "2026-10-16"
OTHER, DAY, END = date(2026, 10, 5), date(2026, 10, 20), date(2026, 10, 31)
DAYS = [OTHER, DAY, END]
Damage = Callable[[Table, PartitionKey, str], None]


@pytest.fixture(scope="module")
def pipeline(
    *,
    new_pipeline: Callable[[], Pipeline],
    usage: Callable[..., LogRecord],
    correction: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
    close: Callable[[Pipeline, Sequence[date]], StageResult],
) -> Pipeline:
    """Two days with every outcome, closed; a module's own company, which each test damages and mends again."""
    pipeline = new_pipeline()
    early, noon = "2026-10-05T12:00:00Z", "2026-10-20T12:00:00Z"
    log = [(early, record) for record in (*registered("acme"), *registered("beta"))]
    log += [(early, usage("a", early)), (early, usage("a", early))]
    log += [
        (noon, usage("b", noon, quantity="1000000")),
        (noon, usage("c", noon, customer_id="beta", quantity="2000000")),
        (noon, usage("late", early)),
        (noon, usage("a", noon)),
        (noon, usage("page", noon, unit="page")),
        (noon, usage("free", noon, billable=False, reason_code="trial")),
        (noon, correction("fix", "a", noon)),
        (noon, usage("between", "2026-10-20T23:00:00Z", unit="page")),
    ]
    receive(pipeline, log)
    close(pipeline, DAYS)
    return pipeline


@pytest.fixture
def damage(pipeline: Pipeline) -> Any:
    """Replaces a partition by what a query makes of it (the relation `part`); mends it at the end of the test."""
    undo: list[Callable[[], object]] = []

    def run(table: Table, key: PartitionKey, query: str) -> None:
        files = [file.path for file in pipeline.lake.files(table, [key.day]) if file.key == key]
        path = pipeline.lake.new_file(table)
        statement = pipeline.settings.home / "damage.sql"
        statement.write_text(query, "utf-8")
        with pipeline.engine.session() as session:
            session.scan("part", table, files)
            before = session.rows("SELECT * FROM part")
            session.keep("damaged", statement)
            written = session.write(table, "damaged", path)
        pipeline.lake.replace(table, [key], [] if written is None else [written.path])

        def mend() -> None:
            mended = pipeline.lake.new_file(table)
            with pipeline.engine.session() as session:
                session.load("good", table.columns, before)
                session.write(table, "good", mended)
            pipeline.lake.replace(table, [key], [mended])

        undo.append(mend)

    yield run
    for mend in undo:
        mend()


def test_good_data_has_no_fault(pipeline: Pipeline) -> None:
    workshop = pipeline.workshop
    assert record_faults(workshop, DAYS) == []
    assert rollup_faults(workshop, DAYS) == []
    assert line_faults(workshop, DAYS) == []


def test_any_choice_of_days_and_one_version_at_a_time_have_no_fault_either(pipeline: Pipeline) -> None:
    """A day between two chosen ones is none of theirs."""
    workshop = pipeline.workshop
    assert rollup_faults(workshop, [OTHER, date(2026, 10, 21)]) == []
    assert rollup_faults(workshop, [DAY], OLD) == rollup_faults(workshop, [DAY], NEW) == []


@pytest.mark.parametrize(
    ("table", "query", "law"),
    [
        (
            REJECTED_USAGE_EVENTS,
            "SELECT * FROM part LIMIT 1",
            "raw = control + valid + rejected: 8 records against 7",
        ),
        (
            VALID_USAGE_EVENTS,
            "FROM part UNION ALL (FROM part LIMIT 1)",
            "raw = control + valid + rejected: 8 records against 9",
        ),
        (
            UNIQUE_USAGE_EVENTS,
            "SELECT * FROM part WHERE id <> 'b'",
            "valid = counted + duplicate + conflict + corrections: 6 records against 5",
        ),
        (
            UNIQUE_USAGE_EVENTS,
            "SELECT * REPLACE (queue_offset + 100 AS queue_offset) FROM part",
            "valid = counted + duplicate + conflict + corrections",
        ),
    ],
)
def test_a_record_that_is_lost_doubled_or_another_is_found(
    pipeline: Pipeline, damage: Damage, table: Table, query: str, law: str
) -> None:
    damage(table, PartitionKey(DAY), query)
    faults = record_faults(pipeline.workshop, DAYS)
    assert any(fault.startswith(f"{DAY}: {law}") for fault in faults)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM part WHERE customer_id <> 'beta'",
        "FROM part UNION ALL (FROM part LIMIT 1)",
        "SELECT * REPLACE (quantity + 0.000000001 AS quantity) FROM part",
        "SELECT * REPLACE (event_count + 1 AS event_count) FROM part",
        "SELECT * REPLACE ('tool_calls' AS meter) FROM part",
        "SELECT * REPLACE ('beta' AS customer_id) FROM part",
        "SELECT * FROM part WHERE false",
    ],
)
def test_a_rollup_row_that_is_lost_doubled_or_changed_is_found(
    pipeline: Pipeline, damage: Damage, query: str
) -> None:
    damage(USAGE_ROLLUPS, PartitionKey(DAY, NEW), query)
    faults = rollup_faults(pipeline.workshop, DAYS)
    assert faults
    assert all(str(DAY) in fault and NEW in fault for fault in faults)
    assert rollup_faults(pipeline.workshop, DAYS, OLD) == []
    assert rollup_faults(pipeline.workshop, DAYS, NEW) == faults


def test_a_version_of_late_usage_that_was_not_rolled_up_is_found(pipeline: Pipeline, damage: Damage) -> None:
    damage(USAGE_ROLLUPS, PartitionKey(DAY, OLD), "SELECT * FROM part WHERE false")
    of_what = f"of {OTHER}: meter llm_tokens, rule version {OLD}: events say"
    assert rollup_faults(pipeline.workshop, DAYS) == [
        f"{DAY}, acme, correction {of_what} -1000.000000000 in -1 events, rollups nothing",
        f"{DAY}, acme, late {of_what} 1000.000000000 in 1 events, rollups nothing",
    ]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        (
            "SELECT * FROM part WHERE customer_id <> 'beta'",
            "beta usd: charges book 2400 minor units, lines bill 0",
        ),
        (
            "FROM part UNION ALL (FROM part WHERE customer_id = 'beta')",
            "beta usd: charges book 2400 minor units, lines bill 4800",
        ),
        (
            "SELECT * REPLACE (amount_minor + (customer_id = 'beta')::BIGINT AS amount_minor) FROM part",
            "beta usd: charges book 2400 minor units, lines bill 2401",
        ),
        ("SELECT * REPLACE ('eur' AS currency) FROM part WHERE customer_id = 'beta'", "beta eur"),
    ],
)
def test_an_invoice_line_that_is_lost_doubled_or_changed_is_found(
    pipeline: Pipeline, damage: Damage, query: str, named: str
) -> None:
    damage(INVOICE_LINES, PartitionKey(END), query)
    assert any(named in fault for fault in line_faults(pipeline.workshop, DAYS))


def test_a_day_is_open_until_the_watermark_is_past_its_close(pipeline: Pipeline) -> None:
    close = instant_us("2026-10-21T01:00:00Z") or 0
    assert open_days(pipeline.workshop, [DAY], close - 1) == [DAY]
    assert open_days(pipeline.workshop, [DAY], close) == []
