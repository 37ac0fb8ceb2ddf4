"""`billing reconcile invoices`: the newest month or a named one, as tables or JSON, and when somebody is asked for."""

import json
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import pytest

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.invoicing.period_close.push_stage import push_days
from billing_pipeline.invoicing.simulator.store import Store
from billing_pipeline.metering.stage import StageResult
from billing_pipeline.pipeline import Pipeline
from billing_pipeline_tests.audit.conftest import record_company
from billing_pipeline_tests.audit.invoiced_company import DAY, END, october

FIRST, FIFTH = date(2026, 10, 1), date(2026, 10, 5)


@pytest.fixture
def closed(
    *,
    pipeline: Pipeline,
    usage: Callable[..., LogRecord],
    change: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
    close: Callable[[Pipeline, Sequence[date]], StageResult],
) -> Pipeline:
    """October, closed and recorded, not pushed yet."""
    receive(pipeline, october(usage, change, registered))
    days = [FIRST, FIFTH, DAY, END]
    record_company(pipeline, close(pipeline, days), days)
    return pipeline


@pytest.fixture
def billing(closed: Pipeline, in_process: Callable[..., Any]) -> Callable[..., Any]:
    """Runs the command on the company's home; what became of it."""
    variables = {
        "BILLING_HOME": str(closed.settings.home),
        "BILLING_DATA": str(closed.settings.data),
        "BILLING_TOML": str(closed.settings.home / "none.toml"),
        "STRIPE_API_KEY": "",
        "STRIPE_API_BASE": "",
        "COLUMNS": "200",
    }
    return lambda *arguments: in_process(("reconcile", "invoices", *arguments), variables)


def push(closed: Pipeline) -> dict[str, str]:
    """Push October; the Stripe invoice by customer and currency."""
    (pushed,) = push_days(closed.workshop, closed.control, closed.settings, [END])
    results = pushed.invoices
    return {f"{each.customer_id} {each.currency}": each.stripe_invoice_id or "" for each in results}


def test_what_is_not_pushed_yet_is_explained_and_asks_for_nobody(billing: Callable[..., Any]) -> None:
    done = billing()
    assert done.returncode == 0, done.stdout
    assert "Invoices of 2026-10" in done.stdout
    assert "not pushed" in done.stdout
    assert "Everything is explained" in done.stdout


def test_a_pushed_month_shows_the_same_amount_three_times(
    closed: Pipeline, billing: Callable[..., Any]
) -> None:
    push(closed)
    done = billing("2026-10")
    (line,) = [each for each in done.stdout.splitlines() if "zulu" in each and "USD" in each]
    assert line.count("48.00 USD") == 3
    assert done.returncode == 0


def test_an_invoice_voided_by_hand_ends_with_status_1(closed: Pipeline, billing: Callable[..., Any]) -> None:
    """For its customer alone, and in JSON as well."""
    invoice_id = push(closed)["beta usd"]
    store = Store(closed.settings.simulator_path)
    with store.transaction() as transaction:
        body = transaction.get("invoice", invoice_id)
        assert body
        transaction.put({**body, "status": "void"})
    store.close()
    done = billing("2026-10", "--customer", "beta", "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["reconciled"] is False
    (total,) = found["totals"]
    assert (total["charged"], total["in_stripe"], total["difference"]) == ("2400", "0", "-2400")
    assert [row["cause"] for row in found["rows"] if row["comparison"] == "lines_stripe"] == [
        "voided_in_stripe"
    ]
    assert "1 of" in billing("2026-10").stdout
    assert billing("2026-10", "--customer", "zulu").returncode == 0


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("2026-11", "no invoice period that is named 2026-11"),
        ("2026-10-15", "2026-10-15"),
        ("soon", "'soon' names no"),
    ],
)
def test_a_period_that_is_none_is_refused_with_what_to_do(
    billing: Callable[..., Any], name: str, told: str
) -> None:
    done = billing(name)
    assert done.returncode == 1
    assert told in done.stderr
