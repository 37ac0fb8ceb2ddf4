"""Ledger against meter over a company's lake: each cause is found where it is, and nothing stays unexplained."""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.guardrails.commands import ExpireDue
from billing_pipeline.guardrails.requests import Settle
from billing_pipeline.pipeline import Pipeline
from billing_pipeline_tests.audit.guarded_company import GuardedCompany, calls, tokens

FIRST, DAY, NEXT, LATER = (date(2026, 10, day) for day in (1, 20, 21, 23))
CENT = 10**7


@pytest.fixture
def guarded(pipeline: Pipeline) -> Iterator[GuardedCompany]:
    company = GuardedCompany(pipeline)
    yield company
    company.close()


@pytest.fixture
def landed(
    guarded: GuardedCompany,
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
    meter: Callable[..., Any],
) -> Callable[..., None]:
    """Lets the log have records at an instant of October 2026, after acme's registration, and meters some days."""
    known = [("2026-10-01T02:00:00Z", record) for record in registered() + registered("beta")]

    def land(*entries: tuple[str, LogRecord], days: tuple[date, ...] = (DAY,)) -> None:
        receive(guarded.pipeline, known + [(f"2026-10-{instant}:00Z", record) for instant, record in entries])
        known.clear()
        meter(guarded.pipeline, [FIRST, *days])

    return land


def at(instant: str, records: list[LogRecord]) -> list[tuple[str, LogRecord]]:
    return [(instant, record) for record in records]


def test_what_is_settled_and_metered_differs_by_rounding_only(
    guarded: GuardedCompany, landed: Callable[..., None]
) -> None:
    """1,000 tokens cost 1.2 cents; the line is a cent."""
    assert guarded.at("10-20T12:00").settled(tokens(1000)) == 12_000_000
    landed(*at("20T12:01", guarded.sent()))
    (row,) = guarded.rows("20")
    assert (row.figures.settled, row.figures.rated) == (12_000_000, CENT)
    assert (row.figures.holds, row.figures.events) == (1, 1)
    assert guarded.reconciled("20") == {"20 acme": {"rounding": -2_000_000}}


def test_usage_that_never_asked_is_unguarded_and_late_where_it_came_after_the_close(
    guarded: GuardedCompany, landed: Callable[..., None], usage: Callable[..., LogRecord]
) -> None:
    """What the guard has settled is no difference, also where its event came late."""
    guarded.at("10-20T12:00").settled(tokens(10_000))
    landed(
        ("20T13:00", usage("own", "2026-10-20T13:00:00Z", quantity="5000")),
        ("20T13:00", usage("free", "2026-10-20T13:00:00Z", billable=False, reason_code="trial")),
        ("22T12:00", usage("late", "2026-10-20T14:00:00Z", quantity="20000")),
        *at("22T12:01", guarded.sent()),
        days=(DAY, date(2026, 10, 22)),
    )
    assert guarded.reconciled("20") == {"20 acme": {"unguarded": 6 * CENT, "late": 24 * CENT}}


def test_corrections_count_on_the_day_of_the_event_whenever_they_come(
    guarded: GuardedCompany, landed: Callable[..., None], correction: Callable[..., LogRecord]
) -> None:
    """A void takes its whole cost back; a replacement moves it to who should pay."""
    guarded.at("10-20T12:00")
    for name in ("a", "b"):
        guarded.settled(tokens(10_000, source="app", id=name))
    to_beta = {"action": "replace", "replacement": {"customer_id": "beta"}, "reason_code": "wrong_customer"}
    guarded.settled(amount=1, customer_id="beta")
    landed(
        *at("20T12:01", guarded.sent()),
        ("20T15:00", correction("x", "a", "2026-10-20T15:00:00Z")),
        ("23T15:00", correction("y", "b", "2026-10-23T15:00:00Z", **to_beta)),
        days=(DAY, LATER),
    )
    assert guarded.reconciled("20") == {
        "20 acme": {"corrected": -24 * CENT},
        "20 beta": {"corrected": 12 * CENT, "settled_by_amount": -1},
    }


def test_what_the_log_does_not_count_is_not_metered_yet(
    guarded: GuardedCompany, landed: Callable[..., None]
) -> None:
    """A hold without an event in the log, and one that was settled at an amount."""
    guarded.at("10-20T12:00").settled(tokens(10_000))
    guarded.settled(amount=5)
    landed()
    assert guarded.reconciled("20") == {"20 acme": {"not_metered_yet": -12 * CENT, "settled_by_amount": -5}}


def test_the_products_own_event_under_the_same_identity_is_the_guards(
    guarded: GuardedCompany, landed: Callable[..., None], usage: Callable[..., LogRecord]
) -> None:
    """It counts once; where it says another quantity, that difference is a conflict."""
    guarded.at("10-20T12:00")
    guarded.settled(tokens(10_000, source="app", id="same"))
    guarded.settled(tokens(10_000, source="app", id="other"))
    landed(
        ("20T12:00", usage("same", "2026-10-20T12:00:00Z", quantity="10000")),
        ("20T12:00", usage("other", "2026-10-20T12:00:00Z", quantity="20000")),
        *at("20T12:01", guarded.sent()),
    )
    assert guarded.reconciled("20") == {"20 acme": {"conflicting": 12 * CENT}}


def test_prices_by_tier_differ_by_the_events_place_in_its_period(
    guarded: GuardedCompany, landed: Callable[..., None]
) -> None:
    """By itself a call costs a cent; beyond the first thousand it costs 0.6."""
    guarded.at("10-20T12:00").settled(calls(800))
    guarded.at("10-21T12:00").settled(calls(700))
    landed(*at("21T12:01", guarded.sent()), days=(DAY, NEXT))
    # A call of web search costs a cent in the first tier; the second day has 200 of them and 500 at 0.6 cents.
    found = guarded.reconciled("20", "21")
    assert found["20 acme"] == {}
    assert found["21 acme"] == {"tier_position": -500 * CENT * 4 // 10}


def test_holds_settled_late_count_on_the_day_of_their_grant(
    guarded: GuardedCompany, landed: Callable[..., None]
) -> None:
    """With their overrun, and what no credit was there for, beside it."""
    guarded.at("10-20T23:58")
    hold_id = guarded.held()
    guarded.at("10-21T12:00")
    guarded.ask(ExpireDue())
    assert guarded.ask(Settle(hold_id=hold_id, usage=(tokens(100_000),))).late
    landed(*at("21T12:01", guarded.sent()), days=(DAY, NEXT))
    (row,) = guarded.rows("20")
    assert row.figures.settled == row.figures.rated == 120 * CENT
    assert row.figures.overrun == 20 * CENT
    assert not guarded.rows("21")


def test_a_price_agreed_afterwards_reprices_what_was_settled(
    guarded: GuardedCompany, landed: Callable[..., None], change: Callable[..., LogRecord]
) -> None:
    """Settled at 12 dollars a million; 10 are agreed on the day after, from the first of the month on."""
    guarded.at("10-20T12:00").settled(tokens(10_000))
    price = {"model": "per_unit", "unit_price": "10.00", "per": "1000000"}
    deal = {"name": "deal", "charge": "llm_tokens", "price": price}
    landed(
        *at("20T12:01", guarded.sent()),
        ("21T12:00", change("contract_override", "acme", "override", FIRST, **deal)),
        days=(DAY, NEXT),
    )
    assert guarded.reconciled("20") == {"20 acme": {"repriced": -2 * CENT}}


def test_discounts_of_the_plan_are_in_what_is_rated(
    guarded: GuardedCompany, landed: Callable[..., None], change: Callable[..., LogRecord]
) -> None:
    """Ten percent off: the guard books list prices."""
    guarded.at("10-20T12:00").settled(tokens(100_000))
    terms = {"name": "deal", "discounts": [{"name": "ten", "percent": 10}]}
    landed(
        ("01T03:00", change("contract_override", "acme", "override", FIRST, **terms)),
        *at("20T12:01", guarded.sent()),
    )
    assert guarded.reconciled("20") == {"20 acme": {"discount": -12 * CENT}}


def test_a_free_trial_is_rated_at_nothing(
    guarded: GuardedCompany, landed: Callable[..., None], change: Callable[..., LogRecord]
) -> None:
    """The guard counts it at the plan's prices, which is what its limits for trials are about."""
    guarded.at("10-20T12:00").settled(tokens(10_000))
    landed(
        ("01T03:00", change("plan_assignment", "acme", "assign", FIRST, plan="starter", trial_days=30)),
        *at("20T12:01", guarded.sent()),
    )
    assert guarded.reconciled("20") == {"20 acme": {"discount": -12 * CENT}}
