"""What a posting day tells Stripe: whole numbers that add up to the usage, whatever comes when."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from math import floor
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.invoicing.meter_events.deciding import Recorded, delivery_of
from billing_pipeline.invoicing.meter_events.planned_events import (
    KnownUsage,
    PlannedMeterEvent,
    Takers,
    UsageRow,
    plan_meter_events,
    plans_used,
)
from billing_pipeline.invoicing.policies.policy import InvoicingPolicies, InvoicingPolicy
from billing_pipeline.pipeline import rule_books_in
from billing_pipeline.rating.agreement import Agreement, Assignment
from billing_pipeline.rating.holdings import Holdings, Rules
from billing_pipeline.settings import PROJECT_ROOT

FIRST = date(2026, 10, 1)
RULES = Rules(rule_books_in(PROJECT_ROOT / "data" / "rule_books"))
VERSION = "2023-11-01"
SEARCH = '{"tool":"web_search"}'
DAY_US = 86_400_000_000
NOON_OF_FIRST_US = 1_790_856_000_000_000


class Posted(NamedTuple):
    """Calls of a usage day, by its number in the month, that were posted on another one."""

    usage_day: int
    posting_day: int
    quantity: Decimal


def _day(number: int) -> date:
    return FIRST + timedelta(days=number - 1)


def _holdings(*plans: tuple[str, date]) -> Holdings:
    assignments = tuple(Assignment(plan, start) for plan, start in plans)
    return Holdings(Agreement("acme", assignments), RULES)


GROWTH = (("growth", date(2026, 1, 1)),)


def _known(
    posted: Sequence[Posted], day: int, before: Holdings | None = None, now: Holdings | None = None
) -> KnownUsage:
    def total(usage_day: int, until: int) -> Decimal:
        return sum(
            (each.quantity for each in posted if each.usage_day == usage_day and each.posting_day <= until),
            Decimal(),
        )

    used = sorted({each.usage_day for each in posted if each.posting_day <= day})
    rows = [
        UsageRow("tool_calls", SEARCH, _day(number), VERSION, total(number, day - 1), total(number, day))
        for number in used
    ]
    return KnownUsage("acme", FIRST, _day(day), rows, before or _holdings(*GROWTH), now or _holdings(*GROWTH))


def _events(posted: Sequence[Posted], days: int = 31) -> list[PlannedMeterEvent]:
    takers = Takers(RULES)
    return [
        event
        for day in range(1, days + 1)
        for event in plan_meter_events(_known(posted, day), takers, lambda _plan: True)
    ]


_POSTED = st.builds(
    lambda one, other, quantity: Posted(min(one, other), max(one, other), quantity),
    st.integers(1, 9),
    st.integers(1, 9),
    st.decimals(-1000, 1000, places=3),
)


@given(st.lists(_POSTED, max_size=12))
def test_events_add_up_to_the_whole_units_of_the_period(posted: list[Posted]) -> None:
    """Late, corrected, fractional: less than one unit is missing, and nothing is told twice or as nothing."""
    events = _events(posted, 9)
    assert sum(event.value for event in events) == floor(sum((each.quantity for each in posted), Decimal()))
    assert all(event.value for event in events)
    assert len({event.identifier for event in events}) == len(events)
    assert events == _events(posted, 9)


@given(st.lists(_POSTED, max_size=12))
def test_usage_of_whole_numbers_is_told_on_its_own_day(posted: list[Posted]) -> None:
    """By usage day, too, the events add up; days that nothing is posted for have none."""
    whole = [each._replace(quantity=Decimal(int(each.quantity))) for each in posted]
    events = _events(whole, 9)
    for number in range(1, 10):
        told = sum(event.value for event in events if event.usage_day == _day(number))
        assert told == sum(each.quantity for each in whole if each.usage_day == number)
    assert {(event.usage_day, event.posting_day) for event in events} <= {
        (_day(each.usage_day), _day(each.posting_day)) for each in whole
    }


def test_an_event_says_what_when_and_for_whom() -> None:
    """Noon of the usage day; the name of the charge and its dimensions; both days in the identifier."""
    (event,) = _events([Posted(1, 3, Decimal(20))])
    assert (event.customer_id, event.billing_period, event.value) == ("acme", FIRST, 20)
    assert (event.usage_day, event.posting_day, event.occurred_at) == (_day(1), _day(3), NOON_OF_FIRST_US)
    assert event.event_name.startswith("growth.tool_calls.web_search.")
    assert event.identifier.startswith("2026-10-01-2026-10-03-")
    assert len(event.identifier) <= 100


def test_fractions_go_on_to_the_next_day() -> None:
    """0.6 and 0.6 are one unit, told on the second day; 0.2 is left."""
    half = Decimal("0.6")
    events = _events([Posted(1, 1, half), Posted(2, 2, half)])
    assert [(event.usage_day, event.value) for event in events] == [(_day(2), 1)]


def test_a_plan_entered_late_takes_back_what_was_told_under_the_other() -> None:
    """What the customer held is known better today: less for one plan's meter, more for the other's."""
    posted = [Posted(1, 1, Decimal(5))]
    now = _holdings(*GROWTH, ("standard", FIRST))
    events = plan_meter_events(_known(posted, 2, _holdings(*GROWTH), now), Takers(RULES), lambda _plan: True)
    assert sorted((event.metered.plan, event.value) for event in events) == [("growth", -5), ("standard", 5)]


def test_only_plans_that_deliver_meter_events_are_told() -> None:
    """Usage of another plan, without a price, or in a free trial is none of Stripe's."""
    posted = [Posted(1, 1, Decimal(5))]
    takers = Takers(RULES)
    assert plan_meter_events(_known(posted, 1), takers, lambda plan: plan == "standard") == []
    starter = _holdings(("starter", FIRST))
    assert plan_meter_events(_known(posted, 1, starter, starter), takers, lambda _plan: True) == []
    on_trial = Holdings(Agreement("acme", (Assignment("growth", FIRST, None, 14),)), RULES)
    assert plan_meter_events(_known(posted, 1, on_trial, on_trial), takers, lambda _plan: True) == []


def test_plans_used_tell_whether_there_was_usage_before() -> None:
    """What decides whether a policy comes too late for the period."""
    takers = Takers(RULES)
    assert plans_used(_known([Posted(1, 1, Decimal(5))], 1), takers) == {"growth": False}
    assert plans_used(_known([Posted(1, 1, Decimal(5))], 2), takers) == {"growth": True}


METERED = InvoicingPolicies(by_plan={"growth": InvoicingPolicy(delivery="meter_events")})
KEY = ("acme", "growth", FIRST)
NOW_US = NOON_OF_FIRST_US + DAY_US


@pytest.mark.parametrize(
    ("used_before", "policies", "recorded", "now_us", "delivery"),
    [
        (False, METERED, Recorded(deliveries={}, planned_days=()), NOW_US, "meter_events"),
        (False, InvoicingPolicies(), Recorded(deliveries={}, planned_days=()), NOW_US, "rated_lines"),
        (True, METERED, Recorded(deliveries={}, planned_days=()), NOW_US, "rated_lines"),
        (False, METERED, Recorded(deliveries={}, planned_days=[FIRST]), NOW_US, "rated_lines"),
        (False, METERED, Recorded(deliveries={}, planned_days=()), NOW_US + 35 * DAY_US, "rated_lines"),
        (
            True,
            InvoicingPolicies(),
            Recorded(deliveries={KEY: "meter_events"}, planned_days=[FIRST]),
            NOW_US,
            "meter_events",
        ),
        (False, METERED, Recorded(deliveries={KEY: "rated_lines"}, planned_days=()), NOW_US, "rated_lines"),
    ],
)
def test_delivery_is_decided_once_for_a_period(
    used_before: bool, policies: InvoicingPolicies, recorded: Recorded, now_us: int, delivery: str
) -> None:
    """By the policy on its first posting day; later, or too late for Stripe, by what was so far: rated lines."""
    found = delivery_of(
        KEY, FIRST, used_before=used_before, policies=policies, recorded=recorded, now_us=now_us
    )
    assert found == delivery
