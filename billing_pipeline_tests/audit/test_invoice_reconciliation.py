"""Invoices followed from events to Stripe: what agrees has a row that says so, and every difference has its cause."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.control.database import open_control
from billing_pipeline.invoicing.simulator.server import running_simulator
from billing_pipeline.invoicing.stripe.gateway import StripeGateway
from billing_pipeline.metering.stage import StageResult
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.table import PartitionKey, Table
from billing_pipeline.schemas.tables import INVOICE_LINES, RATED_CHARGES, RECONCILIATION_REPORT, USAGE_ROLLUPS
from billing_pipeline_tests.audit.invoiced_company import (
    DAY,
    END,
    LATE,
    LATER,
    NEXT_END,
    InvoicedCompany,
    october,
)

OCTOBER_5 = date(2026, 10, 5)
Damage = Callable[[Table, PartitionKey, str], None]


@pytest.fixture(scope="module")
def closed(
    *,
    new_pipeline: Callable[[], Pipeline],
    usage: Callable[..., LogRecord],
    correction: Callable[..., LogRecord],
    change: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
    close: Callable[[Pipeline, Sequence[date]], StageResult],
) -> Pipeline:
    """October and November; in November two cents' worth, and less than a cent's, arrive late, and a void."""
    pipeline = new_pipeline()
    late = [
        usage("c-late", "2026-10-20T13:00:00Z", customer_id="beta", quantity="1000000"),
        usage("z-late", "2026-10-20T13:00:00Z", customer_id="zulu", quantity="100"),
        correction("a-void", "a", LATER),
        usage("n", LATER, customer_id="beta", quantity="1000000"),
    ]
    receive(pipeline, october(usage, change, registered) + [(LATER, record) for record in late])
    close(pipeline, [date(2026, 10, 1), OCTOBER_5, DAY, END, LATE, NEXT_END])
    return pipeline


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[StripeGateway]:
    with running_simulator(tmp_path / "stripe.sqlite") as address:
        gateway = StripeGateway("sk_test_reconciled", address)
        yield gateway
        gateway.close()


@pytest.fixture
def company(
    closed: Pipeline, gateway: StripeGateway, migrated_sqlite: Path, tmp_path: Path
) -> Iterator[InvoicedCompany]:
    control = open_control(f"sqlite:///{tmp_path / 'control.sqlite'}")
    yield InvoicedCompany(closed, control, gateway, tmp_path / "stripe.sqlite")
    control.dispose()


@pytest.fixture
def damage(closed: Pipeline) -> Iterator[Damage]:
    """Replaces a partition by what a query makes of it (the relation `part`); mends it at the end of the test."""
    undo: list[Callable[[], object]] = []

    def run(table: Table, key: PartitionKey, query: str) -> None:
        files = [file.path for file in closed.lake.files(table, [key.day]) if file.key == key]
        statement = closed.settings.home / "damage.sql"
        statement.write_text(query, "utf-8")
        path = closed.lake.new_file(table)
        with closed.engine.session() as session:
            session.scan("part", table, files)
            before = session.rows("SELECT * FROM part")
            session.keep("damaged", statement)
            written = session.write(table, "damaged", path)
        closed.lake.replace(table, [key], [] if written is None else [written.path])

        def mend() -> None:
            mended = closed.lake.new_file(table)
            with closed.engine.session() as session:
                session.load("good", table.columns, before)
                session.write(table, "good", mended)
            closed.lake.replace(table, [key], [mended])

        undo.append(mend)

    yield run
    for mend in undo:
        mend()


def test_a_pushed_month_reconciles_to_zero(company: InvoicedCompany) -> None:
    """Both currencies of one customer; who is blocked, or uses what is free, is explained."""
    company.push()
    rows = company.reconciler().rows([END])
    assert {row.status for row in rows} == {"equal", "explained"}
    assert {row.comparison for row in rows} == {
        "events_rollups",
        "rollups_charges",
        "charges_lines",
        "lines_stripe",
    }
    money = {
        (row.customer_id, row.currency): (row.expected, row.found, row.cause)
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


def test_quantities_are_compared_by_meter_and_usage_period(company: InvoicedCompany) -> None:
    """What a plan leaves free and what lies in a trial is named; the unpriced usage of a blocked customer, too."""
    assert company.causes("events_rollups").keys() == {"acme", "beta", "free", "stuck", "tried", "zulu"}
    found = {
        (row.customer_id, row.meter): (row.expected, row.found, row.cause)
        for row in company.rows("rollups_charges")
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


def test_november_answers_for_what_came_late_to_october(company: InvoicedCompany) -> None:
    """Adjustments reconcile as any line; what moves no cent has no line, and a cause."""
    company.push([END])
    company.push([NEXT_END])
    rows = company.reconciler().rows([NEXT_END])
    assert not [row for row in rows if row.status not in {"equal", "explained"}]
    october_usage = {
        row.customer_id: (row.expected, row.found, row.cause)
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
            "SELECT * REPLACE ('x' || line_id AS line_id) FROM part WHERE customer_id = 'zulu' "
            "UNION ALL SELECT * FROM part WHERE customer_id <> 'zulu'",
            {("charges_lines", "zulu", Decimal(0)), ("lines_stripe", "zulu", Decimal(0))},
        ),
    ],
)
def test_a_figure_that_was_tampered_with_is_unexplained(
    company: InvoicedCompany,
    damage: Damage,
    table: Table,
    key: PartitionKey,
    query: str,
    named: set[tuple[str, str, Decimal]],
) -> None:
    """At each place where it no longer agrees with its neighbours."""
    company.push()
    damage(table, key, query)
    found = [row for row in company.reconciler().rows([END]) if row.status == "unexplained"]
    assert {(row.comparison, row.customer_id, row.difference) for row in found} == named
    assert all("docs/reconciliation.md" in row.message for row in found)


def test_writing_twice_gives_the_same_partition_and_one_customer_can_be_asked_for(
    company: InvoicedCompany, rows: Callable[..., list[tuple[Any, ...]]]
) -> None:
    company.push()
    reconciler = company.reconciler()
    (first,) = reconciler.write([END]).partitions
    (again,) = reconciler.write([END]).partitions
    assert first == again
    stored = rows(company.pipeline, "SELECT * FROM reconciliation_report")
    assert len(stored) == first.rows
    assert len(stored[0]) == len(RECONCILIATION_REPORT.columns)
    assert {row.customer_id for row in reconciler.rows([END], "beta")} == {"beta"}


def test_days_on_which_no_period_ends_have_empty_partitions(company: InvoicedCompany) -> None:
    assert company.reconciler().rows([DAY]) == []
    assert [each.rows for each in company.reconciler().write([DAY]).partitions] == [0]
