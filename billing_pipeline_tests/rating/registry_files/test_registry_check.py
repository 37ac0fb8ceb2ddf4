"""What is agreed must fit what is registered: known customers, open ones, ids and periods that stay."""

from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest

from billing_pipeline.contract.registry import RegistryChange

Faults = Callable[..., list[str]]

ACME = RegistryChange("customer", "acme", "register", date(2026, 1, 1), {"name": "acme", "anchor_day": 15}, 0)
TEAM = RegistryChange("plan_assignment", "acme", "assign", date(2026, 1, 1), {"plan": "team"}, 1)
PILOT = RegistryChange(
    "credit_grant",
    "acme/pilot",
    "grant",
    date(2026, 1, 1),
    {"amount": "100", "currency": "usd", "reason": "Pilot"},
    2,
)
GRANT = "{id: pilot, amount: 100.00, currency: usd, effective_from: 2026-01-01, reason: Pilot}"


def of_acme(entry: str) -> str:
    return f"customers:\n  - id: acme\n    {entry}\n"


def test_a_customer_is_registered_before_or_in_the_same_file(faults_of: Faults) -> None:
    """Where it is neither, its contracts are refused."""
    entry = "plans: [{plan: team, effective_from: 2026-02-01}]"
    assert faults_of(of_acme(entry), [ACME]) == []
    assert faults_of(of_acme(f"effective_from: 2026-01-01\n    {entry}")) == []
    [fault] = faults_of(of_acme(entry))
    assert fault.startswith("customers[0].plans[0]: customer 'acme' is not registered")


def test_nothing_is_agreed_with_a_customer_that_is_closed_by_then(faults_of: Faults) -> None:
    """The day of the closing is the first one without; an end may still come."""
    closed = RegistryChange("customer", "acme", "close", datetime(2026, 6, 1, tzinfo=UTC), {}, 5)
    entry = of_acme(
        "plans: [{plan: team, effective_from: 2026-05-31}, {plan: solo, effective_from: 2026-06-01}]"
    )
    [fault] = faults_of(entry, [ACME, closed])
    assert fault.startswith("customers[0].plans[1].effective_from: customer acme is closed from 2026-06-01")
    void = GRANT.replace("Pilot}", "Pilot, voided_from: 2026-07-01, void_reason: Closed}")
    assert faults_of(of_acme(f"credit_grants: [{void}]"), [ACME, PILOT, closed]) == []


def test_a_closing_in_the_same_file_counts(faults_of: Faults) -> None:
    """Whatever the order of the entries."""
    entry = "effective_from: 2026-01-01\n    closed_from: 2026-03-01"
    entry += "\n    projects: [{id: p, effective_from: 2026-04-01}]"
    [fault] = faults_of(of_acme(entry))
    assert fault.startswith("customers[0].projects[0].effective_from: customer acme is closed")


def test_what_was_agreed_already_does_not_stand_in_the_way_of_a_closing(faults_of: Faults) -> None:
    """A customer may close before something begins that has been entered."""
    entry = "plans: [{plan: team, effective_from: 2026-01-01}]\n    closed_from: 2025-12-31"
    assert faults_of(of_acme(entry), [ACME, TEAM]) == []
    [fault] = faults_of(of_acme(entry), [ACME])
    assert fault.startswith("customers[0].plans[0].effective_from: customer acme is closed from 2025-12-31")


def test_the_id_of_a_grant_is_not_used_for_other_content(faults_of: Faults) -> None:
    """The same grant once more is no fault: the file is applied again."""
    assert faults_of(of_acme(f"credit_grants: [{GRANT}]"), [ACME, PILOT]) == []
    [fault] = faults_of(of_acme(f"credit_grants: [{GRANT.replace('100.00', '200')}]"), [ACME, PILOT])
    assert "id: acme/pilot was granted with other content (from 2026-01-01, amount 100" in fault


def test_an_anchor_day_stays(faults_of: Faults) -> None:
    """Leaving it out would move it to the first of the month."""
    entry = "effective_from: 2026-01-01\n    anchor_day: 15"
    assert faults_of(of_acme(entry), [ACME]) == []
    [fault] = faults_of(of_acme("effective_from: 2026-01-01"), [ACME])
    assert fault.endswith("give anchor_day: 15")


@pytest.mark.parametrize(
    ("period", "fault"),
    [
        ("2026-08-15", None),
        ("2026-09-15", None),
        ("2026-09-01", "no period of acme starts on 2026-09-01; give 2026-08-15 or 2026-09-15"),
        ("2026-10-15", "the period ends on 2026-11-14 only"),
    ],
)
def test_a_period_that_is_rated_again_is_one_and_has_ended(
    faults_of: Faults, period: str, fault: str | None
) -> None:
    """By the customer's anchor day; today is 15 October."""
    text = f"reratings: [{{customer: acme, usage_period: {period}, who: finance, why: late}}]"
    found = faults_of(text, [ACME])
    if fault is None:
        assert found == []
    else:
        assert [each.partition(": ")[2][: len(fault)] for each in found] == [fault]


def test_a_rerating_of_nobody_is_refused(faults_of: Faults) -> None:
    """Its customer must be known."""
    [fault] = faults_of("reratings: [{customer: nobody, usage_period: 2026-08-01, who: finance, why: late}]")
    assert fault.startswith("reratings[0].customer: customer 'nobody' is not registered")
