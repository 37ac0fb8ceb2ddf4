"""A denial says in words what it knows."""

import pytest

from billing_pipeline.guardrails.answers import DenialRule, Denied
from billing_pipeline.guardrails.calling.denials import WHAT_TO_DO, denial_message, denied_error


def denied(rule: DenialRule, **fields: object) -> Denied:
    known: dict[str, object] = {
        "rule": rule,
        "scope": "project:acme/search",
        "customer_id": "acme",
        "project_id": "search",
        "session_id": None,
        "currency": "usd",
        "asked": 2_000_000_000,
    }
    return Denied(**(known | fields))  # type: ignore[arg-type]  # a test's own


def test_a_limit_says_what_is_left_and_when_it_begins_anew() -> None:
    found = denied(
        DenialRule.HARD_LIMIT,
        window="day",
        limit=10_000_000_000,
        left=1_500_000_000,
        resets_at=1_796_169_600_000_000,
    )
    assert denial_message(found) == (
        "denied by hard_limit of project:acme/search by day: 1.50 USD left of 10.00 USD, 2.00 USD asked for, begins "
        "anew at 2026-12-02T00:00:00.000000Z; estimate less, wait until it begins anew, or have an operator raise it"
    )


def test_a_rule_that_counts_says_what_it_counts() -> None:
    found = denied(DenialRule.SESSION_STEPS, scope="session:acme/run-7", limit=20, left=0)
    assert "0 steps left of 20 steps, 2.00 USD asked for" in denial_message(found)


def test_a_stop_says_who_wanted_it_for_what_reason() -> None:
    found = denied(DenialRule.KILLED, reason="runs in circles")
    assert "because: runs in circles; end the run" in denial_message(found)


def test_without_terms_there_is_no_currency() -> None:
    found = denied(DenialRule.UNKNOWN_CUSTOMER, currency="", asked=0)
    assert denial_message(found) == (
        "denied by unknown_customer of project:acme/search; register the customer and give it a plan"
    )


@pytest.mark.parametrize("rule", DenialRule)
def test_each_rule_says_what_to_do(rule: DenialRule) -> None:
    """And the error carries the denial's fields."""
    error = denied_error(denied(rule, left=1, limit=2, resets_at=3, window="day"))
    assert str(error).endswith(WHAT_TO_DO[rule])
    assert (error.rule, error.scope, error.left, error.limit, error.resets_at) == (
        rule,
        "project:acme/search",
        1,
        2,
        3,
    )
