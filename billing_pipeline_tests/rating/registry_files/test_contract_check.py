"""What is agreed must be in the rule books that are in force while it holds."""

from collections.abc import Callable
from datetime import date

import pytest

from billing_pipeline.contract.registry import RegistryChange

Faults = Callable[..., list[str]]

ACME = RegistryChange("customer", "acme", "register", date(2026, 1, 1), {}, 0)
TEAM = RegistryChange("plan_assignment", "acme", "assign", date(2026, 1, 1), {"plan": "team"}, 1)


def of_acme(entry: str) -> str:
    return f"customers:\n  - id: acme\n    {entry}\n"


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("plans: [{plan: solo, effective_from: 2026-02-01}]", None),
        ("plans: [{plan: duo, effective_from: 2026-02-01}]", None),
        (
            "plans: [{plan: solo, effective_from: 2026-08-01}]",
            "plans[0].plan: no rule book in force from 2026-08-01 on has a plan 'solo'",
        ),
        (
            "plans: [{plan: duo, effective_from: 2026-02-01, until: 2026-07-01}]",
            "plans[0].plan: no rule book in force from 2026-02-01 on has a plan 'duo'",
        ),
        (
            "plans: [{plan: taem, effective_from: 2026-02-01}]",
            "plans[0].plan: no rule book in force from 2026-02-01 on has a plan 'taem'; did you mean 'team'?",
        ),
        ("add_ons: [{add_on: sso, effective_from: 2026-02-01}]", None),
        (
            "add_ons: [{add_on: team, effective_from: 2026-02-01}]",
            "add_ons[0].add_on: no rule book in force from 2026-02-01 on has an add-on 'team'; known are sso",
        ),
        ("coupons: [{coupon: welcome, effective_from: 2026-06-30}]", None),
        (
            "coupons: [{coupon: welcome, effective_from: 2026-07-01}]",
            "coupons[0].coupon: no rule book in force on 2026-07-01 has a coupon 'welcome'; known are summer",
        ),
        (
            "coupons: [{coupon: welcome, effective_from: 2025-07-01}]",
            "coupons[0].coupon: no rule book in force on 2025-07-01 has a coupon 'welcome'; known are (none)",
        ),
        (
            "credit_grants: [{id: g, amount: 5, currency: usd, effective_from: 2026-02-01, reason: r, charges: [set]}]",
            "credit_grants[0].charges[0]: no rule book has a charge 'set'; did you mean 'seat'?",
        ),
    ],
)
def test_what_is_agreed_is_in_a_rule_book_in_force(faults_of: Faults, entry: str, fault: str | None) -> None:
    """On any day on which it holds; a coupon on the day on which it is redeemed."""
    found = faults_of(of_acme(entry), [ACME])
    if fault is None:
        assert found == []
    else:
        [only] = found
        assert only.startswith(f"customers[0].{fault}"), only


def test_the_rules_of_a_rerating_exist(faults_of: Faults) -> None:
    """By their version."""
    text = "reratings: [{customer: acme, usage_period: 2026-08-01, rules: VERSION, who: finance, why: late}]"
    assert faults_of(text.replace("VERSION", "'2'"), [ACME]) == []
    [fault] = faults_of(text.replace("VERSION", "'3'"), [ACME])
    assert fault == "reratings[0].rules: no rule book has a rule version '3'; known are 1, 2"


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("plans: [{plan: euro, effective_from: 2026-03-01}]", None),
        ("plans: [{plan: solo, effective_from: 2026-03-10}]", None),
        (
            "plans: [{plan: euro, effective_from: 2026-03-10}]",
            "plans[0].effective_from: changes the currency from usd to eur on 2026-03-10, within a usage period;",
        ),
        (
            "plans: [{plan: euro, effective_from: 2026-03-01, until: 2026-03-20}]",
            "plans[0].until: changes the currency from eur to usd on 2026-03-20",
        ),
        ("plan_ends: 2026-03-10\n    plans: [{plan: euro, effective_from: 2026-03-12}]", None),
    ],
)
def test_a_currency_changes_with_a_usage_period(faults_of: Faults, entry: str, fault: str | None) -> None:
    """Also where a plan ends and the one before comes back."""
    found = faults_of(of_acme(entry), [ACME, TEAM])
    if fault is None:
        assert found == []
    else:
        [only] = found
        assert only.startswith(f"customers[0].{fault}"), only


def test_a_currency_change_that_was_entered_before_is_not_held_against_a_file(faults_of: Faults) -> None:
    """What is in the log is; the file speaks of something else."""
    euro = RegistryChange("plan_assignment", "acme", "assign", date(2026, 3, 10), {"plan": "euro"}, 2)
    assert faults_of(of_acme("plans: [{plan: euro, effective_from: 2026-05-10}]"), [ACME, TEAM, euro]) == []
