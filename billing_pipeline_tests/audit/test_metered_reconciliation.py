"""Meter events against Stripe: what was delivered is counted, and each other fate of an event has its cause."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing_pipeline.audit.invoice_reconciliation.comparison import EndedPeriod
from billing_pipeline.audit.invoice_reconciliation.metered_quantities import (
    LAG_US,
    MeteredLine,
    metered_quantities,
)
from billing_pipeline.control.clock import now_us
from billing_pipeline.invoicing.meter_events.comparing import DeliveredUsage, MeteredKey
from billing_pipeline.invoicing.meter_events.event_name import MeteredCharge, event_name
from billing_pipeline.invoicing.meter_events.meter_outbox import MeterEventState, MeterOutbox
from billing_pipeline.invoicing.meter_events.planned_events import PlannedMeterEvent
from billing_pipeline.invoicing.meter_events.port import MeterErrorReport, StripeMeter
from billing_pipeline.invoicing.push.delivery_records import record_deliveries
from billing_pipeline.invoicing.push.outbox import Outbox
from billing_pipeline.invoicing.stripe.port import Parameters
from billing_pipeline_tests.audit.invoiced_company import DAY, END, FIRST, InvoicedCompany

DIMENSIONS = '{"model":"atlas-large","token_class":"output"}'
PERIOD = EndedPeriod("beta", FIRST, END)
KEY = MeteredKey("beta", FIRST, "growth", "llm_tokens", "llm_tokens", DIMENSIONS, "growth.llm_tokens")
LINE = MeteredLine("beta", "growth", "llm_tokens", "llm_tokens", DIMENSIONS, "token", Decimal("100.25"))
TOLD = DeliveredUsage(key=KEY, delivered=100, first_day=FIRST, last_day=END)
NOW = 10 * LAG_US


def compared(
    told: DeliveredUsage | None, counted: int | None = 100, line: MeteredLine | None = LINE
) -> dict[str, tuple[str, Decimal, Decimal]]:
    """Status, expected and found by cause."""
    found = metered_quantities(
        {"beta": PERIOD},
        [line] if line else [],
        [told] if told else [],
        {KEY: None if counted is None else Decimal(counted)},
        NOW,
    )
    return {row.cause: (row.status, row.expected, row.found) for row in found}


def test_what_was_delivered_is_counted_and_the_fraction_is_told() -> None:
    assert compared(TOLD) == {
        "": ("equal", Decimal(100), Decimal(100)),
        "fraction": ("explained", Decimal("0.25"), Decimal(0)),
    }


@pytest.mark.parametrize(
    ("fate", "cause", "status"),
    [
        ("waiting", "not_sent", "explained"),
        ("expired", "expired", "person"),
        ("refused", "refused", "person"),
        ("cancelled", "cancelled", "explained"),
    ],
)
def test_what_was_not_delivered_has_its_cause(fate: str, cause: str, status: str) -> None:
    """60 were delivered and are counted; of the other 40 it is said why not."""
    fates: dict[str, Any] = {fate: 40}
    told = replace(TOLD, delivered=60, **fates)
    found = compared(told, 60)
    assert found[""] == ("equal", Decimal(60), Decimal(60))
    assert found[cause] == (status, Decimal(40), Decimal(0))


def test_what_stripe_reports_an_error_for_is_not_expected_to_be_counted() -> None:
    found = compared(replace(TOLD, reported=10), 90)
    assert found[""] == ("equal", Decimal(90), Decimal(90))
    assert found["error_report"] == ("person", Decimal(10), Decimal(0))


def test_stripe_has_an_hour_to_count_and_then_it_is_unexplained() -> None:
    """Also where it has counted too much, or knows no such meter."""
    assert compared(replace(TOLD, newest_at=NOW - LAG_US + 1), 70)["lag"][0] == "explained"
    assert compared(replace(TOLD, newest_at=NOW - LAG_US), 70)["unexplained"] == (
        "unexplained",
        Decimal(100),
        Decimal(70),
    )
    assert compared(TOLD, 101)["unexplained"] == ("unexplained", Decimal(100), Decimal(101))
    assert compared(TOLD, None)["unexplained"] == ("unexplained", Decimal(100), Decimal())


def test_lines_and_events_that_do_not_belong_together_are_found() -> None:
    """Lines without events wait for them; events that are not what the lines are is a fault."""
    assert compared(None)["not_sent"] == ("explained", Decimal("100.25"), Decimal(0))
    assert compared(replace(TOLD, delivered=99), 99)["unexplained"][0] == "unexplained"
    assert compared(TOLD, line=None)["unexplained"] == ("unexplained", Decimal(), Decimal(100))


class CountingMeters:
    """A Stripe that has counted some units of one meter on one day."""

    def __init__(self, account: str, counted: int) -> None:
        self._account = account
        self._counted = counted

    def account(self) -> str:
        return self._account

    def send_event(self, parameters: Parameters, idempotency_key: str) -> None:
        raise AssertionError(f"a reconciliation sends nothing: {parameters}, {idempotency_key}")

    def cancel_event(self, parameters: Parameters, idempotency_key: str) -> None:
        raise AssertionError(f"a reconciliation cancels nothing: {parameters}, {idempotency_key}")

    def meters(self) -> list[StripeMeter]:
        name = event_name(CHARGE)
        return [StripeMeter(meter_id="mtr_1", event_name=name, display_name=name, is_active=True)]

    def summaries(
        self, meter_id: str, stripe_customer_id: str, first: date, until: date
    ) -> dict[date, Decimal]:
        assert (meter_id, stripe_customer_id, first <= DAY < until) == ("mtr_1", "cus_beta", True)
        return {DAY: Decimal(self._counted)}

    def error_reports(self, since_us: int) -> list[MeterErrorReport]:
        raise AssertionError(f"they are read back by the close: {since_us}")


CHARGE = MeteredCharge("growth", "llm_tokens", "llm_tokens", DIMENSIONS)


@pytest.mark.parametrize(("counted", "cause"), [(2_000_000, ""), (1_999_999, "unexplained")])
def test_a_metered_period_is_followed_from_its_lines_to_what_stripe_counts(
    in_stripe: InvoicedCompany, counted: int, cause: str
) -> None:
    """The amount goes no other way: what is metered is no invoice that is missing."""
    account = in_stripe.gateway.account()
    record_deliveries(in_stripe.control, account, {("beta", "growth", FIRST): "meter_events"})
    Outbox(in_stripe.control, account, now_us).remember("customer", "beta", "cus_beta")
    outbox = MeterOutbox(in_stripe.control, account, lambda: 1)
    event = PlannedMeterEvent(
        "id-1", event_name(CHARGE), "beta", CHARGE, FIRST, DAY, DAY, 2_000_000, 1_792_500_000_000_000
    )
    outbox.plan([event])
    (planned,) = outbox.open_events()
    outbox.move(outbox.move(planned, MeterEventState.SENT), MeterEventState.DELIVERED)
    reconciler = replace(in_stripe.reconciler(), meters=lambda _: CountingMeters(account, counted))
    rows = [row for row in reconciler.rows([END], "beta") if row.comparison == "meter_events_stripe"]
    assert [(row.cause, int(row.expected), int(row.found)) for row in rows] == [(cause, 2_000_000, counted)]
