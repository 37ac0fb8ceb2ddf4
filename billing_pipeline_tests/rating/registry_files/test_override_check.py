"""An override's terms are read beside every plan and rule version that it changes."""

from collections.abc import Callable
from datetime import date

import pytest

from billing_pipeline.contract.registry import RegistryChange

Faults = Callable[..., list[str]]

ACME = RegistryChange("customer", "acme", "register", date(2026, 1, 1), {}, 0)
TEAM = RegistryChange("plan_assignment", "acme", "assign", date(2026, 1, 1), {"plan": "team"}, 1)
TABLE = "{currency: usd, by: [model], rows: [{match: {model: a}, unit_price: 1}]}"
FLAT = "price: {model: per_unit, unit_price: 0.005}"


def faults(faults_of: Faults, terms: str, start: str = "2026-02-01") -> list[str]:
    text = f"customers: [{{id: acme, overrides: [{{name: deal, effective_from: {start}, {terms}}}]}}]"
    return [fault.removeprefix("customers[0].overrides[0]") for fault in faults_of(text, [ACME, TEAM])]


@pytest.mark.parametrize(
    "terms",
    [
        f"charge: calls, {FLAT}",
        f"charge: calls, plan: solo, {FLAT}",
        f"charge: searches, meter: searches, {FLAT}",
        "charge: tokens, rows: [{match: {model: b}, unit_price: 2.00, per: 1000000}]",
        "charge: tokens, until: 2026-07-01, price: {model: graduated, tier_by: [model], tiers: [{unit_price: 1}]}",
        f"charge: tokens, price: {{model: per_unit, table: {TABLE}}}",
        "discounts: [{name: launch, percent: 15, applies_to: [tokens, calls, seat]}]",
        "minimums: [{name: commitment, amount: 500.00}]",
        "maximums: [{name: cap, amount: 900, applies_to: [tokens]}]",
        "plan: sso, discounts: [{name: gift, percent: 100}]",
    ],
)
def test_terms_that_fit_are_taken(faults_of: Faults, terms: str) -> None:
    """As a rule book has them."""
    assert faults(faults_of, terms) == []


@pytest.mark.parametrize(
    ("terms", "fault"),
    [
        (
            f"charge: call, {FLAT}",
            ".charge: the plan has no charge 'call'; known are calls, tokens; to add a charge",
        ),
        (
            "charge: searches, rows: [{match: {}, unit_price: 1, per: 1}]",
            ".charge: the plan has no charge 'searches'",
        ),
        (
            f"charge: new, meter: images, {FLAT}",
            ".meter: no rule book in force has a meter 'images'; known are calls",
        ),
        (f"charge: calls, meter: tokens, {FLAT}", ".meter: the charge prices the meter 'calls' in this plan"),
        (f"charge: seat, {FLAT}", ".charge: 'seat' is a flat fee"),
        (
            "charge: calls, price: {model: per_unti}",
            ".price.model: unknown 'per_unti'; did you mean 'per_unit'?",
        ),
        (
            "charge: calls, price: {model: per_unit, unit_price: 1e-3}",
            ".price.unit_price: '1e-3' is no plain decimal",
        ),
        ("charge: tokens, price: {model: per_unit, table: list}", ".price.table: unknown 'list'"),
        (
            f"charge: tokens, price: {{model: per_unit, table: {TABLE.replace('usd', 'eur')}}}",
            ".price.table: is in eur, but the plan is in usd",
        ),
        (
            "charge: calls, rows: [{match: {model: b}, unit_price: 2, per: 1}]",
            ".rows: the charge 'calls' has no price table",
        ),
        (
            "charge: tokens, rows: [{match: {model: b, mode: c}, unit_price: 2, per: 1}]",
            ".rows[0].match.mode: unknown key 'mode'",
        ),
        ("discounts: [{name: ten, percent: 100.5}]", ".discounts[0].percent: 100.5 is more than 100"),
        (
            "discounts: [{name: ten, percent: 10, applies_to: [cals]}]",
            ".discounts[0].applies_to[0]: unknown 'cals'",
        ),
        ("minimums: [{name: m, amount: 0.001}]", ".minimums[0].amount: 0.001 cannot be billed in usd"),
        (
            "minimums: [{name: launch, amount: 5}]",
            ".minimums[0]: 'launch' is the name of a term that the plan keeps",
        ),
        (
            "minimums: [{name: m, amount: 5, applies_to: [calls, seat]}]",
            ".minimums[0]: shares charges with 'launch' of the plan",
        ),
        (
            f"plan: none, charge: calls, {FLAT}",
            ".plan: no rule book in force from 2026-02-01 on has a plan or add-on 'none'",
        ),
    ],
)
def test_terms_that_do_not_fit_name_their_field(faults_of: Faults, terms: str, fault: str) -> None:
    """Once, however many versions they do not fit."""
    [found] = faults(faults_of, terms)
    assert found.startswith(fault), found


def test_a_fault_beside_one_version_says_which(faults_of: Faults) -> None:
    """The dimension `region` came with the second."""
    price = "price: {model: graduated, tier_by: [region], tiers: [{unit_price: 1}]}"
    [fault] = faults(faults_of, f"charge: tokens, {price}")
    assert fault.endswith("(plan team, rule version 1)")
    assert faults(faults_of, f"charge: tokens, {price}", "2026-07-01") == []


def test_an_override_without_a_plan_is_of_plans_in_one_currency(faults_of: Faults) -> None:
    """Its amounts have one; naming the plan says which."""
    text = (
        "customers:\n  - id: acme\n    plans: [{plan: euro, effective_from: 2026-05-01}]\n"
        "    overrides: [{name: deal, effective_from: 2026-02-01, PLAN minimums: [{name: m, amount: 5}]}]\n"
    )
    [fault] = faults_of(text.replace("PLAN ", ""), [ACME, TEAM])
    assert fault.startswith("customers[0].overrides[0]: is for plans in eur and usd")
    assert faults_of(text.replace("PLAN", "until: 2026-05-01,"), [ACME, TEAM]) == []
    assert faults_of(text.replace("PLAN", "plan: euro,"), [ACME, TEAM]) == []


def test_an_override_of_a_customer_without_a_plan_names_one(faults_of: Faults) -> None:
    """Otherwise nobody knows what it changes."""
    text = "customers: [{id: acme, overrides: [{name: d, effective_from: 2026-02-01, minimums: []}]}]"
    [fault] = faults_of(text, [ACME])
    assert fault.startswith("customers[0].overrides[0]: names no plan")


def test_a_price_that_a_used_version_lacks_is_added_for_all(faults_of: Faults) -> None:
    """By rows of its table, or by a charge for a meter."""
    text = "plan_overrides: [{plan: team, name: mini, effective_from: 2026-02-01, charge: CHARGE"
    rows = "rows: [{match: {model: mini}, unit_price: 0.30, per: 1000000}]}]"
    assert faults_of(f"{text.replace('CHARGE', 'tokens')}, {rows}") == []
    added = f"meter: searches, {FLAT}}}]"
    assert faults_of(f"{text.replace('CHARGE', 'web_search')}, {added}") == []
    [fault] = faults_of(f"{text.replace('team', 'taem').replace('CHARGE', 'tokens')}, {rows}")
    assert fault.startswith("plan_overrides[0].plan: no rule book in force from 2026-02-01 on has a plan")
