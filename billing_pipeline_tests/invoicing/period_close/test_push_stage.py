"""The push reads the invoice lines of closed periods, one invoice per customer, period and currency."""

from collections.abc import Callable, Sequence
from datetime import date

import pytest

from billing_pipeline.contract.instants import instant_us
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.errors import CloseGateError
from billing_pipeline.invoicing.period_close.push_stage import (
    PushedDay,
    planned_invoices,
    push_days,
    refuse_unclosed,
)
from billing_pipeline.metering.stage import StageResult
from billing_pipeline.pipeline import Pipeline

FIRST, USED, END = date(2026, 10, 1), date(2026, 10, 5), date(2026, 10, 31)
NOON = "2026-10-05T12:00:00Z"


@pytest.fixture(scope="module")
def closed(
    *,
    new_pipeline: Callable[[], Pipeline],
    usage: Callable[..., LogRecord],
    change: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
    close: Callable[[Pipeline, Sequence[date]], StageResult],
) -> Pipeline:
    pipeline = new_pipeline()
    records = [
        *registered("acme", name="Acme Inc."),
        change("plan_assignment", "acme", "assign", USED, plan="enterprise"),
        *registered("beta"),
        *registered("idle"),
        usage("a", "2026-10-04T12:00:00Z", quantity="1000000"),
        usage("b", NOON, quantity="1000000"),
        usage("c", NOON, customer_id="beta", quantity="1000000"),
    ]
    receive(pipeline, [(NOON, record) for record in records])
    close(pipeline, [USED, END])
    return pipeline


def test_there_is_one_invoice_per_customer_period_and_currency(closed: Pipeline) -> None:
    invoices = planned_invoices(closed.workshop, [END])
    found = [
        (invoice.customer_id, invoice.customer_name, invoice.billing_period, invoice.currency)
        for invoice in invoices
    ]
    assert found == [
        ("acme", "Acme Inc.", FIRST, "eur"),
        ("acme", "Acme Inc.", FIRST, "usd"),
        ("beta", "beta", FIRST, "usd"),
    ]
    assert [[line.amount_minor for line in invoice.lines] for invoice in invoices] == [[1200], [1500], [1500]]


def test_a_line_carries_what_an_auditor_needs_to_find_it(closed: Pipeline) -> None:
    (line,) = planned_invoices(closed.workshop, [END])[0].lines
    assert line.quantity_text == "1,000,000 token"
    about = ("kind", "component", "plan", "project", "usage_period", "rule_version", "evidence_digest")
    assert line.metadata.keys() == set(about)
    assert line.metadata["usage_period"] == "2026-10-01"


def test_days_that_end_no_period_have_no_invoices(closed: Pipeline) -> None:
    assert planned_invoices(closed.workshop, [USED]) == []
    assert push_days(closed.workshop, closed.control, closed.settings, [USED]) == [PushedDay(USED, ())]


def test_an_invoice_of_an_open_day_is_refused_until_the_watermark_reaches_its_close(closed: Pipeline) -> None:
    close = instant_us("2026-11-01T01:00:00Z") or 0
    with pytest.raises(
        CloseGateError, match=r"2026-10-31 is not closed: .*billing close --through 2026-10-31"
    ):
        refuse_unclosed(closed.calendar, [END], close - 1)
    refuse_unclosed(closed.calendar, [END], close)


def test_pushing_twice_sends_every_invoice_once(closed: Pipeline) -> None:
    """Without a key the simulator stands in for Stripe."""
    (pushed,) = push_days(closed.workshop, closed.control, closed.settings, [END])
    (repeated,) = push_days(closed.workshop, closed.control, closed.settings, [END])
    first, again = pushed.invoices, repeated.invoices
    assert len(first) == 3
    assert [each.stripe_invoice_id for each in first] == [each.stripe_invoice_id for each in again]
