"""Discounts, minimums and maximums are read as written, and their scopes are nested or apart."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from billing_pipeline.errors import DocumentError
from billing_pipeline.rating.book_sections.terms import TERM_KEYS, read_plan_terms
from billing_pipeline.rating.document_json import field_of
from billing_pipeline.rating.plan_terms.commitment import Maximum, Minimum
from billing_pipeline.rating.plan_terms.discount import Discount
from billing_pipeline.rating.rule_book import RuleBook

Faults = Callable[..., list[str]]
TEAM = "plans.team"


def test_terms_are_read_as_they_are_written(load: Callable[..., RuleBook]) -> None:
    """Discounts, minimums, maximums, each with its scope; what is left out has its default."""
    assert load().plans["team"].terms == (
        Discount(
            "launch", percent=Decimal("12.5"), applies_to=frozenset({"tokens"}), description="Launch offer"
        ),
        Discount("five_off", amount=Decimal(5), description="Five off"),
        Minimum("commitment", Decimal(500), frozenset({"tokens", "calls"}), description="Commitment"),
        Maximum("cap", Decimal(900), prorate=True, description="Cap"),
    )


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("percent: 12.5", "percent: 100.5", f"17: {TEAM}.discounts[0].percent: 100.5 is more than 100"),
        ("percent: 12.5", "percent: -1", f"17: {TEAM}.discounts[0].percent: '-1' is no plain decimal"),
        (
            "percent: 12.5",
            "percent: 5, amount: 1",
            f"17: {TEAM}.discounts[0].amount: stands beside `percent`",
        ),
        ("percent: 12.5, ", "", f"17: {TEAM}.discounts[0]: has neither `percent` nor `amount`"),
        ("amount: 5.00", "amount: 5.001", f"18: {TEAM}.discounts[1].amount: 5.001 cannot be billed in usd"),
        ("amount: 500.00", "amount: 0.005", f"20: {TEAM}.minimums[0].amount: 0.005 cannot be billed in usd"),
        (
            "amount: 500.00",
            "amount: 1234567890123",
            f"20: {TEAM}.minimums[0].amount: 1234567890123 has too many",
        ),
        ("amount: 900.00, ", "", f"22: {TEAM}.maximums[0].amount: missing"),
        (
            "prorate: true",
            "prorate: maybe",
            f"22: {TEAM}.maximums[0].prorate: unknown 'maybe'; give one of true",
        ),
        (
            "[tokens, calls]",
            "[tokens, call]",
            f"20: {TEAM}.minimums[0].applies_to[1]: unknown 'call'; did you mean",
        ),
        (
            "[tokens, calls]",
            "[calls, calls]",
            f"20: {TEAM}.minimums[0].applies_to[1]: 'calls' is named twice",
        ),
        ("[tokens, calls]", "[]", f"20: {TEAM}.minimums[0].applies_to: names nothing; leave it out"),
        ("[tokens, calls]", "tokens", f"20: {TEAM}.minimums[0].applies_to: give a list"),
        ("[tokens, calls]", "[sso_fee]", f"20: {TEAM}.minimums[0].applies_to[0]: unknown 'sso_fee'"),
        (
            "name: cap",
            "name: launch",
            f"22: {TEAM}.maximums[0]: 'launch' is the name of an earlier charge or term",
        ),
        (
            "name: cap",
            "name: seats",
            f"22: {TEAM}.maximums[0]: 'seats' is the name of an earlier charge or term",
        ),
        ("name: cap", "name: Cap", f"22: {TEAM}.maximums[0].name: 'Cap' is no name"),
        (
            "discounts:",
            "discount:",
            f"16: {TEAM}.discount: unknown key 'discount'; did you mean 'discounts'?",
        ),
    ],
)
def test_a_fault_of_a_term_names_its_line_and_field(
    faults_of: Faults, old: str, new: str, fault: str
) -> None:
    """Each fault is found where it stands, and alone."""
    (found,) = faults_of((old, new))
    assert found.startswith(fault)


def test_scopes_that_overlap_without_one_lying_in_the_other_are_refused(faults_of: Faults) -> None:
    """Which of the two would count first is not plain."""
    (found,) = faults_of(
        ("percent: 12.5, applies_to: [tokens]", "percent: 12.5, applies_to: [tokens, seats]")
    )
    assert found.startswith(
        f"20: {TEAM}.minimums[0].applies_to: shares tokens with 'launch', but neither scope lies in the other"
    )


@pytest.mark.parametrize(
    "scope", ["[tokens]", "[tokens, calls]", "[tokens, calls, seats]", "[seats]", "null"]
)
def test_scopes_that_are_nested_or_apart_are_taken(load: Callable[..., RuleBook], scope: str) -> None:
    """A part, the same, the whole, or something else altogether."""
    load(("percent: 12.5, applies_to: [tokens]", f"percent: 12.5, applies_to: {scope}"))


@pytest.mark.parametrize(("currency", "amount"), [("jpy", "5"), ("kwd", "5.125"), ("usd", "5.10")])
def test_an_amount_has_the_digits_of_its_currency(
    load: Callable[..., RuleBook], faults_of: Faults, currency: str, amount: str
) -> None:
    """None for the yen, three for the Kuwaiti dinar; one more is refused."""
    plan = [("team:\n    currency: usd", f"team:\n    currency: {currency}"), ("10.5", "10")]
    load(*plan, ("amount: 5.00", f"amount: {amount}"))
    digit = "1" if "." in amount else ".1"
    (found,) = faults_of(*plan, ("amount: 5.00", f"amount: {amount.replace('5.10', '5.12')}{digit}"))
    assert f"cannot be billed in {currency}" in found


def test_terms_that_came_as_json_are_read_alike() -> None:
    """An override's terms have the same words and the same faults."""
    details = {"name": "deal", "minimums": [{"name": "floor", "amount": "20.00", "applies_to": ["tokens"]}]}
    root = field_of("override deal", details)
    keys = root.mapping(required=("name",), optional=TERM_KEYS)
    (term,) = read_plan_terms(keys, "usd", {"tokens"})
    assert term == Minimum("floor", Decimal(20), frozenset({"tokens"}), description="Floor")
    read_plan_terms(keys, "usd", {"calls"})
    with pytest.raises(
        DocumentError, match=r"override deal:1: minimums\[0\].applies_to\[0\]: unknown 'tokens'"
    ):
        root.raise_faults()
