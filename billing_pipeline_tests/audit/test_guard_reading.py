"""What reconciliation and true-up read of the guard's books is the same on both databases."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from billing_pipeline.audit.guard_credit import grant_credits
from billing_pipeline.audit.guard_day import guard_day, guarded_accounts, held_days, last_held_day
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.control.database import open_control
from billing_pipeline.invoicing.guard_true_up import missing_true_ups, period_figures
from billing_pipeline.pipeline import Pipeline
from billing_pipeline_tests.audit.guard_books import Books, add_books, lived_through

DAY, END = date(2026, 12, 1), date(2026, 12, 31)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Books:
    return lived_through(tmp_path_factory.mktemp("guard"))


@pytest.fixture
def control(migrated_url: str, lived: Books) -> Iterator[Engine]:
    """The books of an hour of 1 December 2026."""
    engine = open_control(migrated_url)
    add_books(engine, lived)
    yield engine
    engine.dispose()


def test_a_usage_day_has_its_settled_holds_and_the_events_sent_for_them(control: Engine) -> None:
    """Those that had expired before too; holds that are open, released or unused are none of them."""
    assert guarded_accounts(control) == [("acme", "usd"), ("postpaid", "usd"), ("thin", "usd")]
    found = guard_day(control, DAY)
    assert sorted((hold.customer_id, hold.booked, hold.overdraft) for hold in found.holds) == [
        ("acme", 20, 0),
        ("acme", 30, 0),
        ("acme", 60, 0),
        ("acme", 100, 0),
        ("acme", 170, 0),
        ("thin", 45, 20),
        ("thin", 45, 20),
    ]
    sent = [(event.source, event.quantity) for events in found.sent.values() for event in events]
    assert sorted(sent) == [("guard", "0.02"), ("guard", "0.1")]
    assert found.near == set()


def test_the_day_after_knows_the_events_of_the_day_before(control: Engine) -> None:
    """A product that sends the same event may say that it occurred on another day."""
    found = guard_day(control, DAY + timedelta(days=1))
    assert not found.holds
    assert len(found.near) == 2


def test_days_on_which_something_was_held(control: Engine) -> None:
    assert held_days(control, DAY - timedelta(days=40), DAY + timedelta(days=40)) == {DAY}
    assert held_days(control, DAY + timedelta(days=1), DAY + timedelta(days=9)) == set()
    assert last_held_day(control) == DAY


def test_accounts_at_the_end_of_their_period(
    control: Engine,
    pipeline: Pipeline,
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
    close: Callable[..., Any],
) -> None:
    """Settled, trued up and spent; nothing was invoiced. `thin` is registered nowhere, so it has no period."""
    records = [*registered("acme"), *registered("postpaid")]
    receive(pipeline, [("2026-12-01T02:00:00Z", record) for record in records])
    close(pipeline, [DAY, END])
    acme, postpaid = period_figures(pipeline.workshop, control, END)
    assert (acme.reference, acme.settled, acme.booked, acme.spent) == ("2026-12-01", 380, 0, 345)
    assert acme.amount == -345, "never more than was spent"
    assert (postpaid.settled, postpaid.amount) == (0, 0)
    told = missing_true_ups(pipeline.workshop, control, [END])
    assert told[0].startswith("acme usd: -345 nano-units came to 2026-12-01 after its true-up")
    assert period_figures(pipeline.workshop, control, DAY) == []


def test_credit_on_both_sides(control: Engine, pipeline: Pipeline) -> None:
    """In the order in which grants are used; no invoice has drawn on any, and a void took all of one."""
    found = grant_credits(pipeline.workshop, control, "acme")
    assert [(each.grant_id, each.amount, each.guard_left, each.invoices_left) for each in found] == [
        ("g0", 1000, 695, 1000),
        ("g1", 500, 0, 0),
        ("short", 40, 0, 40),
    ]
    assert {each.not_invoiced for each in found} == {0}, "its period has a true-up"
    assert len(grant_credits(pipeline.workshop, control)) == 4
    assert grant_credits(pipeline.workshop, control, "nobody") == []
