"""`billing registry` and `billing rerate` as a person runs them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Billing = Callable[..., Any]

FILE = """\
customers:
  - id: acme
    name: Acme [Inc]
    anchor_day: 15
    effective_from: 2024-01-01
    projects: [p]
    plans:
      - {plan: growth, effective_from: 2024-01-01, trial_days: 14}
      - {plan: standard, effective_from: 2024-03-15, until: 2024-04-15}
    overrides:
      - name: deal
        plan: growth
        effective_from: 2024-02-01
        charge: tool_calls
        price: {model: per_unit, unit_price: 0.0050}
    credit_grants:
      - {id: pilot, amount: 250.50, currency: usd, effective_from: 2024-02-01, expires: 2025-01-01, reason: Pilot}
plan_overrides:
  - plan: growth
    name: mini
    effective_from: 2024-02-01
    charge: llm_tokens
    rows: [{match: {model: atlas-mini, token_class: output}, unit_price: 0.30, per: 1000000}]
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, billing: Billing) -> Path:
    """A home in which acme has a contract, and January was rated again; tests read it only."""
    folder = tmp_path_factory.mktemp("company")
    file = folder / "contracts.yaml"
    file.write_text(FILE, "utf-8")
    tried = billing(folder / "home", "registry", "apply", file, "--dry-run")
    assert "would be appended" in tried.stdout
    assert "this was a dry run" in tried.stdout
    done = billing(folder / "home", "registry", "apply", file)
    assert done.returncode == 0, done.stderr
    assert "7 changes appended" in done.stdout
    asked = billing(
        *(folder / "home", "rerate", "acme", "--period", "2024-01-15", "--rules", "2026-10-16"),
        *("--who", "finance", "--why", "Signed late."),
    )
    assert asked.returncode == 0, asked.stderr
    assert (
        "acme: 2024-01-15 rated again by the prices of 2026-10-16 (finance: Signed late.): offset 7"
        in asked.stdout
    )
    return folder / "home"


def test_a_file_that_was_applied_is_known(home: Path, billing: Billing) -> None:
    """Each change with its offset; text that looks like markup is printed as it is."""
    done = billing(home, "registry", "apply", home.parent / "contracts.yaml")
    assert done.returncode == 0, done.stderr
    assert "name Acme [Inc]" in done.stdout
    assert "known at 6" in done.stdout
    assert "The log has all of it already" in done.stdout


def test_faults_of_a_file_are_listed_with_line_and_field(
    home: Path, tmp_path: Path, billing: Billing
) -> None:
    """Exit status 1, and nothing is appended."""
    file = tmp_path / "contracts.yaml"
    file.write_text(
        "customers:\n  - id: acme\n    plans: [{plan: grwth, effective_from: 2024-02-01}]\n", "utf-8"
    )
    done = billing(home, "registry", "apply", file)
    assert done.returncode == 1
    assert f"{file}:3: customers[0].plans[0].plan: " in done.stderr
    assert "did you mean 'growth'?" in done.stderr


def test_what_holds_on_a_day_is_shown_as_json(home: Path, billing: Billing) -> None:
    """Amounts are the text that was written, and the history has every change with its offset."""
    done = billing(home, "registry", "show", "acme", "--day", "2024-04-15", "--json")
    shown = json.loads(done.stdout)
    assert shown["plan"] == {
        "plan": "growth",
        "since": "2024-01-01",
        "until": None,
        "trial_until": "2024-01-15",
        "in_trial": False,
    }
    assert [(each["name"], each["of"]) for each in shown["overrides"]] == [
        ("mini", "plan"),
        ("deal", "customer"),
    ]
    assert shown["overrides"][1]["terms"]["price"]["unit_price"] == "0.0050"
    [grant] = shown["credit_grants"]
    assert (grant["id"], grant["amount"], grant["in_force"]) == ("pilot", "250.5", True)
    assert [each["who"] for each in shown["reratings"]] == ["finance"]
    assert [each["queue_offset"] for each in shown["history"]] == list(range(8))


@pytest.mark.parametrize(
    ("day", "told"),
    [
        ("2023-12-31", "none"),
        ("2024-01-14", "growth since 2024-01-01, free trial until 2024-01-15"),
        ("2024-03-15", "standard since 2024-03-15 until 2024-04-15"),
        ("2024-04-15", "growth since 2024-01-01, free trial ended on 2024-01-15"),
    ],
)
def test_the_plan_of_a_day_is_shown(home: Path, billing: Billing, day: str, told: str) -> None:
    """With its trial; before the first there is none."""
    done = billing(home, "registry", "show", "acme", "--day", day)
    assert done.returncode == 0, done.stderr
    [row] = [line for line in done.stdout.splitlines() if line.startswith("│ plan ")]
    assert row.split("│")[2].strip() == told


def test_a_customer_that_is_not_there_is_told_clearly(home: Path, billing: Billing) -> None:
    """With those that are."""
    done = billing(home, "registry", "show", "nobody")
    assert done.returncode == 1
    assert "customer 'nobody' is not registered; there are: acme" in done.stderr


def test_a_period_that_is_none_is_refused(home: Path, billing: Billing) -> None:
    """By its form, and by the customer's anchor day."""
    for period, told in (("January", "names no period"), ("2024-01", "give 2023-12-15 or 2024-01-15")):
        done = billing(home, "rerate", "acme", "--period", period, "--who", "finance", "--why", "x")
        assert done.returncode == 1
        assert told in done.stderr
