"""`billing guard` and `billing review`."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from billing_pipeline_tests.commands.guarded_home import USD, control_url, run_away

Run = Callable[..., CompletedProcess[str]]
WHY = ("--why", "a test", "--who", "ops@example.com")


@pytest.fixture
def billing(tmp_path: Path, in_process: Callable[..., CompletedProcess[str]]) -> Run:
    """Runs a command over a home in which something was stopped."""
    home = tmp_path / "home"
    run_away(control_url(home))
    return lambda *words: in_process([*words], {"BILLING_HOME": str(home), "COLUMNS": "200"})


def shown(billing: Run, *words: str) -> Any:
    done = billing(*words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def items(billing: Run, state: str = "open") -> dict[str, Any]:
    """The review items by kind."""
    return {row["kind"]: row for row in shown(billing, "review", "list", "--state", state)["rows"]}


def test_a_kill_switch_is_set_shown_and_lifted_with_who_and_why(billing: Run) -> None:
    assert "is in force" in billing("guard", "kill", "customer:acme", *WHY).stdout
    assert "so before" in billing("guard", "kill", "customer:acme", *WHY).stdout
    (kill, _) = shown(billing, "guard", "stops")["rows"]
    assert (kill["scope"], kill["kind"], kill["who"], kill["why"]) == (
        "customer:acme",
        "kill",
        "ops@example.com",
        "a test",
    )
    assert billing("guard", "unkill", "customer:acme", *WHY).returncode == 0
    again = billing("guard", "unkill", "customer:acme", *WHY)
    assert (again.returncode, "there is no kill" in again.stderr) == (1, True)
    history = shown(billing, "guard", "stops", "--history")["rows"]
    assert [row["active"] for row in history if row["kind"] == "kill"] == [False, True]


def test_a_pause_can_end_by_itself(billing: Run) -> None:
    assert billing("guard", "pause", "session:acme/run-9", "--minutes", "5", *WHY).returncode == 0
    paused = {row["scope"]: row for row in shown(billing, "guard", "stops")["rows"]}
    assert paused["session:acme/run-9"]["resumes_at"] > paused["session:acme/run-9"]["since"]
    refused = billing("guard", "pause", "customer:acme", "--until", "2020-01-01T00:00:00Z", *WHY)
    assert "instant to come" in refused.stderr
    assert billing("guard", "unpause", "session:acme/run-9", *WHY).returncode == 0


@pytest.mark.parametrize("scope", ["acme", "customer:", "project:acme", "customer:a/b"])
def test_what_is_no_scope_is_refused_with_how_to_write_one(billing: Run, scope: str) -> None:
    done = billing("guard", "kill", scope, *WHY)
    assert (done.returncode, done.stdout) == (1, "")
    assert "customer:ID, project:CUSTOMER/ID or session:CUSTOMER/ID" in done.stderr


def test_a_customer_that_the_guard_has_not_met_is_told_of_and_stopped_all_the_same(billing: Run) -> None:
    done = billing("guard", "kill", "customer:acmee", *WHY)
    assert done.returncode == 0
    assert "'acmee'" in done.stderr


def test_a_reason_is_required(billing: Run) -> None:
    assert billing("guard", "kill", "customer:acme").returncode == 2


def test_a_limit_is_set_in_the_customers_currency_listed_and_unset(billing: Run) -> None:
    words = ("customer:acme", "--window", "day")
    assert "is 250.50 USD" in billing("guard", "limit", "set", *words, "--amount", "250.50", *WHY).stdout
    (row,) = shown(billing, "guard", "limit", "list")["rows"]
    assert (row["amount"], row["currency"], row["severity"]) == ("250500000000", "usd", "hard")
    assert "is none" in billing("guard", "limit", "set", *words, "--none", *WHY).stdout
    assert "the plan's" in billing("guard", "limit", "unset", *words, *WHY).stdout
    assert shown(billing, "guard", "limit", "list")["rows"] == []
    assert len(shown(billing, "guard", "limit", "list", "--history")["rows"]) == 3


@pytest.mark.parametrize("amount", ["", "-1", "1e3", "0.0000000001", "99999999999", "٣", "1,5"])
def test_an_amount_that_is_none_is_refused(billing: Run, amount: str) -> None:
    done = billing("guard", "limit", "set", "customer:acme", "--window", "day", f"--amount={amount}", *WHY)
    assert (done.returncode, "major units" in done.stderr) == (1, True)


def test_the_currency_must_be_said_where_the_customer_has_none(billing: Run) -> None:
    words = ("guard", "limit", "set", "customer:new", "--window", "day", "--amount", "5", *WHY)
    assert "--currency" in billing(*words).stderr
    assert billing(*words, "--currency", "eur").returncode == 0


def test_the_status_of_a_customer_has_balance_limits_stops_and_sessions(billing: Run) -> None:
    billing("guard", "limit", "set", "customer:acme", "--window", "period", "--amount", "100", *WHY)
    found = shown(billing, "guard", "status", "acme")
    assert found["balances"][0]["spent"] == str(20 * USD)
    assert found["limits"][0]["used"] == str(21 * USD)
    assert found["limits"][0]["left"] == str(79 * USD)
    assert [row["scope"] for row in found["stops"]] == ["project:acme/p"]
    assert {row["scope"]: row["breaker"] for row in found["sessions"]} == {
        "session:acme/run-7": "open",
        "session:acme/run-8": "closed",
    }
    assert "run-7" in billing("guard", "status", "acme").stdout


def test_open_holds_alerts_denials_and_notices_are_listed(billing: Run) -> None:
    (hold,) = shown(billing, "guard", "holds")["rows"]
    assert hold["action"]["amount"] == str(USD)
    (alert,) = shown(billing, "guard", "alerts")["rows"]
    assert (alert["scope"], alert["amount"]) == ("customer:acme", str(10 * USD))
    (denial,) = shown(billing, "guard", "denials")["rows"]
    assert denial["rule"] == "session_spend"
    assert len(shown(billing, "guard", "notices", "--undelivered")["rows"]) == 3
    for words in ("holds", "alerts", "denials", "notices", "stops"):
        assert billing("guard", words).returncode == 0
    assert shown(billing, "guard", "holds", "--customer", "beta")["rows"] == []


def test_an_item_is_shown_with_the_sessions_and_actions_around_it(billing: Run) -> None:
    breaker = items(billing)["breaker"]
    found = shown(billing, "review", "show", breaker["review_id"])
    assert found["review"]["evidence"]["rule"] == "session_spend"
    around = found["surroundings"]
    assert around["sessions"][0]["scope"] == "session:acme/run-7"
    assert sum(int(minute["settled"]) for minute in around["minutes"]) == 20 * USD
    assert len(around["actions"]) == 5
    assert "dearest actions" in billing("review", "show", breaker["review_id"]).stdout


def test_a_decision_is_carried_out_and_kept_with_who_and_why(billing: Run) -> None:
    opened = items(billing)
    assert set(opened) == {"breaker", "soft_limit", "velocity"}
    assert billing("review", "resume", opened["velocity"]["review_id"], *WHY).returncode == 0
    assert shown(billing, "guard", "stops")["rows"] == []
    assert billing("review", "keep", opened["breaker"]["review_id"], *WHY).returncode == 0
    raised = billing("review", "raise-limit", opened["soft_limit"]["review_id"], "--amount", "50", *WHY)
    assert raised.returncode == 0, raised.stderr
    assert shown(billing, "guard", "limit", "list")["rows"][0]["amount"] == str(50 * USD)
    assert items(billing) == {}
    (decision,) = items(billing, "decided")["soft_limit"]["decisions"]
    assert (decision["who"], decision["why"], decision["amount"]) == (
        "ops@example.com",
        "a test",
        str(50 * USD),
    )


def test_a_second_decision_and_one_on_nothing_are_refused(billing: Run) -> None:
    review_id = items(billing)["breaker"]["review_id"]
    billing("review", "keep", review_id, *WHY)
    again = billing("review", "resume", review_id, *WHY)
    assert (again.returncode, "decided already" in again.stderr) == (1, True)
    assert "no review item" in billing("review", "resume", "nothing", *WHY).stderr
