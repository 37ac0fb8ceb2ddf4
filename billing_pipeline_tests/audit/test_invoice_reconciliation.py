"""Invoices followed from events to Stripe: what agrees has a row that says so, and every difference has its cause."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing_pipeline.lake.engine import Engine
from billing_pipeline.schemas.table import PartitionKey, Table
from billing_pipeline.schemas.tables import INVOICE_LINES, RATED_CHARGES, RECONCILIATION_REPORT, USAGE_ROLLUPS
from billing_pipeline_tests.audit.invoiced_company import DAY, END, NEXT_END, InvoicedCompany

Damage = Callable[[Table, PartitionKey, str], None]


def test_a_pushed_month_reconciles_to_zero(in_stripe: InvoicedCompany) -> None:
    """Both currencies of one customer; who is blocked, or uses what is free, is explained."""
    in_stripe.push()
    rows = in_stripe.reconciler().rows([END])
    assert {row.status for row in rows} == {"equal", "explained"}
    assert {row.comparison for row in rows} == {
        "events_rollups",
        "rollups_charges",
        "charges_lines",
        "lines_stripe",
    }
    money = {
        (row.customer_id, row.currency): (int(row.expected), int(row.found), row.cause)
        for row in rows
        if row.comparison == "lines_stripe"
    }
    assert money == {
        ("acme", "eur"): (960, 960, ""),
        ("acme", "usd"): (1500, 1500, ""),
        ("beta", "usd"): (2400, 2400, ""),
        ("free", "usd"): (1200, 1200, ""),
        ("stuck", ""): (0, 0, "blocked"),
        ("tried", "usd"): (0, 0, ""),
        ("zulu", "usd"): (4800, 4800, ""),
    }


def test_quantities_are_compared_by_meter_and_usage_period(in_stripe: InvoicedCompany) -> None:
    """What a plan leaves free and what lies in a trial is named; the unpriced usage of a blocked customer, too."""
    assert in_stripe.causes("events_rollups").keys() == {"acme", "beta", "free", "stuck", "tried", "zulu"}
    found = {
        (row.customer_id, row.meter): (int(row.expected), int(row.found), row.cause)
        for row in in_stripe.rows("rollups_charges")
    }
    assert found == {
        ("acme", "llm_tokens"): (2_000_000, 2_000_000, ""),
        ("beta", "llm_tokens"): (2_000_000, 2_000_000, ""),
        ("free", "llm_tokens"): (1_000_000, 1_000_000, ""),
        ("free", "tool_calls"): (300, 0, "not_charged"),
        ("stuck", "llm_tokens"): (1000, 0, "blocked"),
        ("tried", "llm_tokens"): (5_000_000, 5_000_000, "trial"),
        ("zulu", "llm_tokens"): (4_000_000, 4_000_000, ""),
    }


def test_november_answers_for_what_came_late_to_october(in_stripe: InvoicedCompany) -> None:
    """Adjustments reconcile as any line; what moves no cent has no line, and a cause."""
    in_stripe.push([END])
    in_stripe.push([NEXT_END])
    rows = in_stripe.reconciler().rows([NEXT_END])
    assert not [row for row in rows if row.status not in {"equal", "explained"}]
    october_usage = {
        row.customer_id: (int(row.expected), int(row.found), row.cause)
        for row in rows
        if row.comparison == "rollups_charges" and row.usage_period == date(2026, 10, 1)
    }
    assert october_usage["beta"] == (3_000_000, 3_000_000, "")
    assert october_usage["zulu"] == (4_000_100, 4_000_000, "no_amount")
    assert october_usage["acme"] == (1_000_000, 1_000_000, "")
    money = {(row.customer_id, row.currency): row.found for row in rows if row.comparison == "lines_stripe"}
    assert money["beta", "usd"] == 2400
    assert money["acme", "usd"] == -1500


@pytest.mark.parametrize(
    ("table", "key", "query", "named"),
    [
        (
            USAGE_ROLLUPS,
            PartitionKey(DAY, "2026-10-16"),
            "SELECT * REPLACE (quantity + (customer_id = 'beta')::INTEGER AS quantity) FROM part",
            {("events_rollups", "beta", Decimal(1)), ("rollups_charges", "beta", Decimal(-1))},
        ),
        (
            RATED_CHARGES,
            PartitionKey(END),
            "SELECT * REPLACE (amount_minor + (customer_id = 'beta')::INTEGER AS amount_minor) FROM part",
            {("charges_lines", "beta", Decimal(-1))},
        ),
        (
            RATED_CHARGES,
            PartitionKey(END),
            "SELECT * REPLACE (quantity + (customer_id = 'zulu')::INTEGER AS quantity) FROM part",
            {("rollups_charges", "zulu", Decimal(1))},
        ),
        (
            INVOICE_LINES,
            PartitionKey(END),
            "SELECT * REPLACE (amount_minor + (customer_id = 'zulu')::INTEGER AS amount_minor) FROM part",
            {("charges_lines", "zulu", Decimal(1)), ("lines_stripe", "zulu", Decimal(-1))},
        ),
        (
            INVOICE_LINES,
            PartitionKey(END),
            "SELECT * REPLACE (CASE customer_id WHEN 'zulu' THEN 'x' ELSE '' END || line_id AS line_id) FROM part",
            {("charges_lines", "zulu", Decimal(0)), ("lines_stripe", "zulu", Decimal(0))},
        ),
    ],
)
def test_a_figure_that_was_tampered_with_is_unexplained(
    in_stripe: InvoicedCompany,
    tamper: Damage,
    table: Table,
    key: PartitionKey,
    query: str,
    named: set[tuple[str, str, Decimal]],
) -> None:
    """At each place where it no longer agrees with its neighbours."""
    in_stripe.push()
    tamper(table, key, query)
    found = [row for row in in_stripe.reconciler().rows([END]) if row.status == "unexplained"]
    assert {(row.comparison, row.customer_id, row.difference) for row in found} == named
    assert all("docs/reconciliation.md" in row.message for row in found)


def test_writing_twice_gives_the_same_partition_and_one_customer_can_be_asked_for(
    in_stripe: InvoicedCompany, rows: Callable[..., list[tuple[Any, ...]]]
) -> None:
    in_stripe.push()
    reconciler = in_stripe.reconciler()
    (first,) = reconciler.write([END]).partitions
    (again,) = reconciler.write([END]).partitions
    assert first == again
    stored = rows(in_stripe.pipeline, "SELECT * FROM reconciliation_report")
    assert len(stored) == first.rows
    assert len(stored[0]) == len(RECONCILIATION_REPORT.columns)
    assert {row.customer_id for row in reconciler.rows([END], "beta")} == {"beta"}


def test_days_on_which_no_period_ends_have_empty_partitions(in_stripe: InvoicedCompany) -> None:
    assert in_stripe.reconciler().rows([DAY]) == []
    assert [each.rows for each in in_stripe.reconciler().write([DAY]).partitions] == [0]


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
def test_spark_finds_the_same(in_stripe: InvoicedCompany, spark_engine: Engine) -> None:
    """Row for row, of the month with late usage and adjustments."""
    in_stripe.push([END, NEXT_END])
    reconciler = in_stripe.reconciler()
    by_spark = replace(reconciler, workshop=replace(reconciler.workshop, engine=spark_engine))
    assert by_spark.rows([END, NEXT_END]) == reconciler.rows([END, NEXT_END])
