"""The close of a period: gate, drafts, approval, open review, zero by policy, blocked customers, anchor days."""

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import insert, text

from billing_pipeline.control.database import open_control, writing
from billing_pipeline.control.guard_tables import GUARD_REVIEWS
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.schemas.tables import INVOICE_LINES
from billing_pipeline.settings import load_settings
from billing_pipeline_tests.scenarios.company import Company, used

RULES = """
version: "2023-11-01"
effective_from: 2023-11-01T00:00:00Z
units: [call, page]
meters:
  calls: {unit: call, aggregation: sum}
  pages: {unit: page, aggregation: sum}
plans:
  basic:
    currency: usd
    charges: [{name: calls, meter: calls, price: {model: per_unit, unit_price: 0.01}}]
  checked:
    currency: usd
    charges: [{name: calls, meter: calls, price: {model: per_unit, unit_price: 0.02}}]
  free:
    currency: usd
    charges: [{name: calls, meter: calls, price: {model: per_unit, unit_price: 0}}]
"""
POLICIES = """
plans:
  checked: {approval: required}
  free: {zero_invoices: skip}
"""
PLANS = {
    "acme": "basic",
    "mid": "basic",
    "gratis": "free",
    "large": "checked",
    "odd": "basic",
    "watched": "basic",
}


@pytest.fixture
def january(new_company: Callable[[], Company]) -> Company:
    """January is over and its days are closed, nothing was pushed: the schedule of the daily close does no more."""
    company = new_company()
    company.write_rules(one=RULES)
    (company.data / "invoicing.yaml").write_text(POLICIES, "utf-8")
    company.write_customers(
        *(
            {"id": name, "name": name.title(), "plan": plan, **({"anchor_day": 15} if name == "mid" else {})}
            for name, plan in PLANS.items()
        )
    )
    company.receive(
        *(used(f"{name}-1", "2025-01-20T10:00:00Z", 1000, customer_id=name) for name in PLANS),
        used("odd-2", "2025-01-20T11:00:00Z", 5, customer_id="odd", unit="page"),
    )
    company.billing("queue", "advance", "--to", "2025-02-01T01:00:00Z")
    return company


def states(company: Company, *words: str) -> dict[str, tuple[str, int | None]]:
    """State and total by customer, as `billing period` tells them."""
    told: list[dict[str, Any]] = json.loads(company.billing("period", *words, "--json"))
    return {each["customer_id"]: (each["state"], each["total_minor"]) for each in told}


def reasons(company: Company) -> list[dict[str, Any]]:
    """What `billing period status` says of each invoice."""
    told: list[dict[str, Any]] = json.loads(company.billing("period", "status", "2025-01", "--json"))
    return told


def open_review(company: Company, customer_id: str) -> None:
    """As the guard opens one when it pauses a customer."""
    with company.in_home(company.home):
        control = open_control(load_settings().control_url)
    values: dict[str, object] = {column.name: "" for column in GUARD_REVIEWS.columns if not column.nullable}
    values |= {"review_id": "r" * 32, "customer_id": customer_id, "kind": "velocity", "currency": "usd"}
    values |= dict.fromkeys(("opened_at",), 1) | {"evidence": "{}", "scope": f"customer {customer_id}"}
    with writing(control) as connection:
        connection.execute(insert(GUARD_REVIEWS).values(values))
    control.dispose()


def decide(company: Company) -> None:
    """Whoever reviewed it has decided."""
    with company.in_home(company.home):
        control = open_control(load_settings().control_url)
    with writing(control) as connection:
        connection.execute(text("UPDATE guard_reviews SET decided_at = 2"))
    control.dispose()


def test_a_period_closes_for_whoever_can_be_closed(january: Company, stripe_invoices: Any) -> None:
    """One customer is blocked, one waits for approval, one for a review, one comes to zero; the others go on."""
    open_review(january, "watched")
    january.billing("close", "--through", "2025-01-31")
    expected = {
        "acme": ("finalized", 1000),
        "gratis": ("skipped", 0),
        "large": ("held", 2000),
        "mid": ("running", None),
        "odd": ("blocked", None),
        "watched": ("held", 1000),
    }
    assert states(january, "status", "2025-01") == expected
    assert states(january, "close", "2025-01") == expected
    by_status = [each["status"] for each in stripe_invoices(january.home)]
    assert sorted(by_status) == ["draft", "draft", "open"]
    told = {each["customer_id"]: each["reason"] for each in reasons(january)}
    assert "billing invoice approve large 2025-01" in told["large"]
    assert f"open review {'r' * 32}" in told["watched"]
    assert told["odd"].startswith("unpriced_usage: customer odd, project p: 5 page of meter pages")
    assert told["mid"] == "runs until 2025-02-14, or that day is not closed yet"
    assert "1 blocked, 1 finalized, 2 held, 1 running, 1 skipped" in january.billing(
        "period", "status", "2025-01"
    )

    approved = january.billing("invoice", "approve", "large", "2025-01", "--by", "cfo", "--why", "checked")
    assert "approved: large, 2025-01, 20.00 USD" in approved
    assert "was approved already" in january.billing(
        "invoice", "approve", "large", "2025-01", "--by", "cfo", "--why", "again"
    )
    decide(january)
    assert states(january, "close", "2025-01") == expected | {
        "large": ("finalized", 2000),
        "watched": ("finalized", 1000),
    }
    assert [each["total"] for each in stripe_invoices(january.home) if each["status"] == "open"].count(
        1000
    ) == 2
    before = stripe_invoices(january.home)
    states(january, "close", "2025-01")
    assert stripe_invoices(january.home) == before


def test_a_dry_run_asks_the_gate_and_sends_nothing(january: Company, stripe_invoices: Any) -> None:
    """The days are closed, but no period: what would be sent is due."""
    refused = january.refused("period", "close", "2025-01", "--dry-run")
    assert "billing close --through 2025-01-31" in refused
    january.billing("close", "--through", "2025-01-30")
    refused = january.refused("period", "close", "2025-01")
    assert "2025-01-31 is not closed" in refused
    assert stripe_invoices(january.home) == []


def test_no_invoice_goes_out_of_a_partition_that_was_changed(january: Company) -> None:
    """The lines that stand in the lake are not those that were recorded when the day was closed."""
    (january.data / "invoicing.yaml").write_text("default: {approval: required}\n", "utf-8")
    january.billing("close", "--through", "2025-01-31")
    with january.in_home(january.home):
        pipeline = Pipeline(load_settings())
        key = PartitionKey(date(2025, 1, 31))
        pipeline.lake.replace(INVOICE_LINES, [key], [])
        pipeline.control.dispose()
    refused = january.refused("period", "close", "2025-01")
    assert "no invoice goes out" in refused
    assert "invoice_lines 2025-01-31" in refused


def test_a_preview_is_the_invoice_to_be(january: Company) -> None:
    """Before a day is closed it says what the invoice comes to, and changes nothing; nobody can approve it yet."""
    before = january.sql("SELECT count(*) FROM invoice_lines")
    preview = json.loads(january.billing("invoice", "preview", "mid", "--json"))
    (invoice,) = preview["invoices"]
    assert (preview["preview"], invoice["total"], invoice["period_end_day"]) == (
        True,
        "10.00 USD",
        "2025-02-14",
    )
    assert january.sql("SELECT count(*) FROM invoice_lines") == before == [(0,)]
    assert "is not registered" in january.refused("invoice", "preview", "nobody")
    refused = january.refused("invoice", "approve", "mid", "2025-01", "--by", "cfo", "--why", "early")
    assert "there is no invoice of 'mid'" in refused
    january.billing("queue", "advance", "--to", "2025-02-15T00:30:00Z")
    last = json.loads(january.billing("invoice", "preview", "mid", "--json"))["invoices"]
    january.billing("queue", "advance", "--to", "2025-02-15T01:00:00Z")
    january.billing("close", "--through", "2025-02-14")
    assert last == [january.invoice("mid", "2025-01-15")]
