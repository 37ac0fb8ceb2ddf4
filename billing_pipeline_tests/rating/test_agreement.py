"""An agreement answers what holds on a day, and over which share of a period."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_pipeline.contract.registry import Registry, RegistryChange
from billing_pipeline.rating.agreement import Agreement, Assignment
from billing_pipeline.rating.registered_agreement import agreement_of

OCTOBER = date(2026, 10, 1), date(2026, 10, 31)
OCTOBER_SECONDS = 31 * 86_400

Told = tuple[Any, str, Any, date, dict[str, object]]


def day(number: int, month: int = 10) -> date:
    return date(2026, month, number)


def agreement(*changes: Told) -> Agreement:
    """The agreement of acme after some changes, in the order of their offsets."""
    registry = Registry(
        RegistryChange(entity, entity_id, change, start, details, offset)
        for offset, (entity, entity_id, change, start, details) in enumerate(changes)
    )
    return agreement_of(registry, "acme")


def plan(name: str, start: date, **details: object) -> Told:
    return "plan_assignment", "acme", "assign", start, {"plan": name, **details}


def plan_ends(start: date) -> Told:
    return "plan_assignment", "acme", "end", start, {}


def add_on(name: str, start: date, **details: object) -> Told:
    return "add_on_assignment", f"acme/{name}", "assign", start, details


def override(name: str, start: date, **details: object) -> Told:
    return "contract_override", "acme", "override", start, {"name": name, **details}


def plan_override(of: str, name: str, start: date, **details: object) -> Told:
    return "plan_override", of, "override", start, {"name": name, **details}


def grant(grant_id: str, start: date, amount: str = "100", **details: object) -> Told:
    return (
        "credit_grant",
        f"acme/{grant_id}",
        "grant",
        start,
        {"amount": amount, "currency": "usd", **details},
    )


def void(grant_id: str, start: date) -> Told:
    return "credit_grant", f"acme/{grant_id}", "void", start, {"reason": "paid back"}


def no_trial(_: str) -> None:
    return None


def shares(agreed: Agreement, trial_days: int = 0) -> dict[str, Fraction]:
    """By plan or add-on its share of October."""
    found = agreed.stretches(*OCTOBER, lambda name: agreed.trial_until(name, trial_days))
    return {stretch.plan: stretch.share for stretch in found}


def test_a_customer_nobody_knows_has_agreed_to_nothing() -> None:
    """No plan, no add-on, nothing to prorate."""
    agreed = agreement()
    assert agreed.plan_on(day(1)) is None
    assert agreed.add_ons_on(day(1)) == ()
    assert agreed.stretches(*OCTOBER, no_trial) == ()


def test_of_plans_in_force_the_one_with_the_latest_start_counts() -> None:
    """However late or early it was entered; what it hides comes back once it is over."""
    agreed = agreement(
        plan("scale", day(10), until="2026-10-20"), plan("growth", day(1, month=1)), plan("pro", day(15))
    )
    found = [agreed.plan_on(each) for each in (day(9), day(10), day(14), day(15), day(20), day(31))]
    assert found == ["growth", "scale", "scale", "pro", "pro", "pro"]


def test_a_plan_with_an_end_falls_through_to_the_one_before() -> None:
    """The day of the end is the first one without it."""
    agreed = agreement(plan("growth", day(1)), plan("scale", day(10), until="2026-10-20"))
    assert [agreed.plan_on(each) for each in (day(19), day(20))] == ["scale", "growth"]
    assert shares(agreed) == {"growth": Fraction(21, 31), "scale": Fraction(10, 31)}


def test_a_plan_that_falls_through_to_nothing_leaves_none() -> None:
    """Neither before its start nor from its end on there is a plan."""
    agreed = agreement(plan("scale", day(10), until="2026-10-20"))
    assert [agreed.plan_on(each) for each in (day(9), day(10), day(20))] == [None, "scale", None]


def test_what_was_said_of_a_day_last_replaces_what_was_said_before() -> None:
    """An end that is entered later does not fall through to the same plan without one."""
    agreed = agreement(plan("scale", day(10)), plan("scale", day(10), until="2026-10-20"))
    assert [agreed.plan_on(each) for each in (day(10), day(20))] == ["scale", None]
    assert agreement(plan("scale", day(10)), plan("pro", day(10))).plan_on(day(10)) == "pro"


def test_the_end_of_a_plan_ends_all_of_them() -> None:
    """Until another one starts."""
    agreed = agreement(
        plan("growth", day(1)), plan("scale", day(5)), plan_ends(day(11)), plan("pro", day(21))
    )
    assert [agreed.plan_on(each) for each in (day(10), day(11), day(20), day(21))] == [
        "scale",
        None,
        None,
        "pro",
    ]
    assert sum(shares(agreed).values()) == Fraction(21, 31)


def test_an_earlier_offset_has_another_agreement() -> None:
    """What was agreed later is not known to it."""
    registry = Registry(
        [
            RegistryChange("plan_assignment", "acme", "assign", day(1), {"plan": "growth"}, 3),
            RegistryChange("plan_assignment", "acme", "assign", day(1), {"plan": "scale"}, 7),
        ]
    )
    assert agreement_of(registry.as_of(6), "acme").plan_on(day(1)) == "growth"
    assert agreement_of(registry.as_of(7), "acme").plan_on(day(1)) == "scale"


def test_a_trial_starts_with_the_first_day_of_the_plan_and_not_again() -> None:
    """Leaving the plan and coming back to it is not another trial."""
    agreed = agreement(
        plan("growth", day(1)), plan_ends(day(5)), plan("growth", day(10)), plan("scale", day(20))
    )
    assert agreed.first_day_of("growth") == day(1)
    assert agreed.trial_until("growth", 14) == day(15)
    assert agreed.trial_until("scale", 14) == day(3, month=11)
    assert agreed.trial_until("pro", 14) is None
    assert shares(agreed, trial_days=14) == {"growth": Fraction(5, 31), "scale": 0}


def test_an_assignment_may_have_a_trial_of_its_own() -> None:
    """Instead of the plan's, also none."""
    agreed = agreement(plan("growth", day(1), trial_days=0), plan("scale", day(20), trial_days="3"))
    assert agreed.trial_until("growth", 14) is None
    assert agreed.trial_until("scale", 14) == day(23)
    assert shares(agreed, trial_days=14) == {"growth": Fraction(19, 31), "scale": Fraction(9, 31)}


def test_a_plan_without_a_trial_has_none() -> None:
    """Zero trial days are no trial."""
    assert agreement(plan("growth", day(1))).trial_until("growth", 0) is None


def test_an_add_on_multiplies_its_share_by_its_quantity_day_by_day() -> None:
    """The share counts its units; the quantity is the most that were held at once."""
    agreed = agreement(
        add_on("seats", day(1), quantity=5),
        add_on("seats", day(11), quantity=8),
        add_on("seats", day(21), quantity="2"),
    )
    [stretch] = agreed.stretches(*OCTOBER, no_trial)
    assert stretch.share == Fraction(10 * 5 + 10 * 8 + 11 * 2, 31)
    assert (stretch.plan, stretch.quantity, stretch.is_add_on, stretch.first_day) == (
        "seats",
        8,
        True,
        day(1),
    )


def test_an_add_on_falls_through_ends_and_starts_again() -> None:
    """Its quantity of a while gives way to the one before; an end leaves none."""
    agreed = agreement(
        add_on("seats", day(1)),
        add_on("seats", day(5), quantity=4, until="2026-10-10"),
        ("add_on_assignment", "acme/seats", "end", day(20), {}),
        add_on("support", day(25)),
    )
    assert [agreed.add_ons_on(each) for each in (day(9), day(10), day(19), day(20), day(25))] == [
        ("seats",),
        ("seats",),
        ("seats",),
        (),
        ("support",),
    ]
    assert shares(agreed) == {"seats": Fraction(4 + 5 * 4 + 10, 31), "support": Fraction(7, 31)}


def test_an_add_on_is_in_no_trial() -> None:
    """Even where the plan is."""
    agreed = agreement(plan("growth", day(1)), add_on("seats", day(1)))
    assert shares(agreed, trial_days=14) == {"growth": Fraction(17, 31), "seats": 1}


def test_a_stretch_starts_on_its_first_day_within_the_period() -> None:
    """What was held before the period is in force from the period's start."""
    agreed = agreement(plan("growth", day(15, month=3)), plan("scale", day(7)), plan("growth", day(9)))
    found = agreed.stretches(*OCTOBER, no_trial)
    assert [(stretch.plan, stretch.first_day, stretch.share) for stretch in found] == [
        ("growth", day(1), Fraction(29, 31)),
        ("scale", day(7), Fraction(2, 31)),
    ]


def test_a_closing_within_a_day_counts_by_the_second() -> None:
    """From the closing on nothing is in force."""
    closed = RegistryChange("customer", "acme", "close", datetime(2026, 10, 11, 6, 0, 1, tzinfo=UTC))
    registry = Registry(
        [
            RegistryChange("plan_assignment", "acme", "assign", day(1), {"plan": "growth"}),
            RegistryChange("plan_assignment", "acme", "assign", day(12), {"plan": "scale"}),
            closed,
        ]
    )
    [stretch] = agreement_of(registry, "acme").stretches(*OCTOBER, no_trial)
    assert stretch.plan == "growth"
    assert stretch.share == Fraction(10 * 86_400 + 6 * 3_600 + 1, OCTOBER_SECONDS)


def test_a_customer_closed_before_the_period_has_no_stretch() -> None:
    """Not even an empty one."""
    registry = Registry(
        [
            RegistryChange("plan_assignment", "acme", "assign", day(1, month=1), {"plan": "growth"}),
            RegistryChange("customer", "acme", "close", day(1)),
        ]
    )
    assert agreement_of(registry, "acme").stretches(*OCTOBER, no_trial) == ()


def test_a_closing_within_the_trial_leaves_a_share_of_nothing() -> None:
    """The plan was in force, for free."""
    registry = Registry(
        [
            RegistryChange("plan_assignment", "acme", "assign", day(1), {"plan": "growth"}),
            RegistryChange("customer", "acme", "close", day(9)),
        ]
    )
    agreed = agreement_of(registry, "acme")
    [stretch] = agreed.stretches(*OCTOBER, lambda _: day(20))
    assert (stretch.plan, stretch.share) == ("growth", Fraction())


def test_overrides_of_the_plan_come_before_those_of_the_customer() -> None:
    """The last one counts; each by its start, then by its offset."""
    agreed = agreement(
        plan("growth", day(1)),
        override("own-later", day(5), plan="growth"),
        override("own", day(1)),
        plan_override("growth", "added", day(7)),
        plan_override("growth", "added-first", day(2)),
        plan_override("scale", "of-another-plan", day(1)),
        override("of-another", day(1), plan="scale"),
    )
    names = [each.name for each in agreed.overrides_on("growth", day(10))]
    assert names == ["added-first", "added", "own", "own-later"]
    assert [each.name for each in agreed.overrides_on("growth", day(1))] == ["own"]


def test_an_override_ends_and_is_replaced_by_its_name() -> None:
    """Of one name the latest start counts, and the last word about one start."""
    agreed = agreement(
        plan("growth", day(1)),
        override("deal", day(1), charge="calls"),
        override("deal", day(10), charge="tokens", until="2026-10-20"),
        override("other", day(1), charge="calls"),
        override("other", day(1), charge="calls", until="2026-10-05"),
    )
    found = {
        each: [(one.name, one.details["charge"]) for one in agreed.overrides_on("growth", day(each))]
        for each in (1, 5, 10, 20)
    }
    assert found == {
        1: [("deal", "calls"), ("other", "calls")],
        5: [("deal", "calls")],
        10: [("deal", "tokens")],
        20: [("deal", "calls")],
    }


def test_overrides_of_one_name_stand_side_by_side_where_one_is_of_the_plan() -> None:
    """A customer's deal does not take away what was added to the plan under the same name."""
    agreed = agreement(
        plan("growth", day(1)), plan_override("growth", "new", day(1)), override("new", day(2))
    )
    assert [each.is_own for each in agreed.overrides_on("growth", day(3))] == [False, True]


def test_an_override_of_an_add_on_reaches_who_has_it() -> None:
    """Add-ons are overridden like plans."""
    agreed = agreement(add_on("seats", day(1)), plan_override("seats", "cheaper", day(1)))
    assert [each.name for each in agreed.overrides_on("seats", day(1))] == ["cheaper"]


def test_an_override_that_names_no_plan_is_for_whichever_plan_there_is() -> None:
    """Not for add-ons: a minimum of a customer would be due once for each of them."""
    agreed = agreement(
        plan("growth", day(1)), plan("scale", day(10)), add_on("seats", day(1)), override("deal", day(1))
    )
    found = {name: len(agreed.overrides_on(name, day(12))) for name in ("growth", "scale", "seats")}
    assert found == {"growth": 1, "scale": 1, "seats": 0}


def test_a_grant_is_read_with_all_its_terms() -> None:
    """Its amount is a decimal, exactly as it was granted."""
    agreed = agreement(
        grant("g1", day(1), "0.10"),
        grant("g2", day(2), "5", priority=2, expires="2027-01-01", charges=["tokens"], reason="pilot"),
    )
    first, second = agreed.grants
    assert (first.grant_id, first.amount, first.currency, first.priority) == ("g1", Decimal("0.10"), "usd", 0)
    assert (first.expires, first.charges, first.voided_from) == (None, frozenset(), None)
    assert (second.priority, second.expires, second.charges) == (2, date(2027, 1, 1), frozenset({"tokens"}))


def test_a_grant_that_was_voided_says_from_when() -> None:
    """The last word about it counts; what voids no grant does nothing."""
    agreed = agreement(
        grant("g1", day(1)),
        void("g1", day(20)),
        void("g1", day(15)),
        void("none", day(1)),
        grant("g2", day(3)),
    )
    assert [(each.grant_id, each.voided_from) for each in agreed.grants] == [("g1", day(15)), ("g2", None)]


def test_of_a_grant_granted_twice_the_first_counts() -> None:
    """Invoices may have used it; an id is never used again."""
    agreed = agreement(grant("g1", day(1), "10"), grant("g2", day(1), "20"), grant("g1", day(5), "999"))
    assert [(each.grant_id, each.amount) for each in agreed.grants] == [
        ("g1", Decimal(10)),
        ("g2", Decimal(20)),
    ]


def test_coupons_and_reratings_keep_the_order_of_the_log() -> None:
    """A coupon redeemed twice on a day is redeemed once; every re-rating is one of its own."""
    rerate: Told = (
        "rerating",
        "acme",
        "rerate",
        day(1),
        {"usage_period": "2026-10-01", "who": "finance", "why": "late"},
    )
    agreed = agreement(
        ("coupon", "acme", "redeem", day(2), {"coupon": "welcome"}),
        ("coupon", "acme", "redeem", day(1), {"coupon": "ten_off"}),
        ("coupon", "acme", "redeem", day(1), {"coupon": "ten_off"}),
        rerate,
        rerate,
    )
    assert [(each.coupon, each.start) for each in agreed.redemptions] == [
        ("welcome", day(2)),
        ("ten_off", day(1)),
    ]
    assert [(each.usage_period, each.rules, each.queue_offset) for each in agreed.reratings] == [
        (day(1), None, 3),
        (day(1), None, 4),
    ]


def test_anchor_day_and_closing_come_from_the_customer() -> None:
    """They are part of what rating asks an agreement for."""
    registry = Registry(
        [
            RegistryChange("customer", "acme", "register", day(1), {"anchor_day": 15}),
            RegistryChange("customer", "acme", "close", day(20)),
        ]
    )
    agreed = agreement_of(registry, "acme")
    assert (agreed.anchor_day, agreed.closed_at) == (15, datetime(2026, 10, 20, tzinfo=UTC))


assignments = st.lists(
    st.builds(
        lambda name, start, length: Assignment(
            name, start, None if length is None else start + timedelta(days=length)
        ),
        st.sampled_from(["a", "b", ""]),
        st.dates(day(20, month=9), day(5, month=11)),
        st.none() | st.integers(1, 40),
    ),
    max_size=6,
    unique_by=lambda each: each.start,
)


@settings(max_examples=60)
@given(assignments)
def test_shares_are_the_days_on_which_a_plan_is_in_force(assigned: Sequence[Assignment]) -> None:
    """The cut into stretches and the question for a day give the same, whatever overlaps."""
    agreed = Agreement("acme", tuple(sorted(assigned, key=lambda each: each.start)))
    days: dict[str, list[date]] = {}
    for number in range(1, 32):
        name = agreed.plan_on(day(number))
        if name:
            days.setdefault(name, []).append(day(number))
    found = {stretch.plan: stretch for stretch in agreed.stretches(*OCTOBER, no_trial)}
    assert {name: each.share for name, each in found.items()} == {
        name: Fraction(len(each), 31) for name, each in days.items()
    }
    assert {name: each.first_day for name, each in found.items()} == {
        name: each[0] for name, each in days.items()
    }


@pytest.mark.parametrize("number", [1, 15, 31])
def test_a_plan_change_neither_loses_nor_doubles_a_second(number: int) -> None:
    """Whichever day of the period it falls on."""
    agreed = agreement(plan("growth", day(1, month=1)), plan("scale", day(number)))
    assert sum(shares(agreed).values()) == 1
