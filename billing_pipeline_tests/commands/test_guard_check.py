"""`billing guard check` tells the faults of the policies with file, line and field, else what holds for whom."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from billing_pipeline.settings import PROJECT_ROOT

Billing = Callable[..., CompletedProcess[str]]
OWN = PROJECT_ROOT / "data" / "guard.yaml"


@pytest.fixture
def billing(tmp_path: Path, in_process: Callable[..., CompletedProcess[str]]) -> Billing:
    """Runs the command over the project's own data, or another folder."""

    def run(*words: object, data: Path = PROJECT_ROOT / "data") -> CompletedProcess[str]:
        variables = {"BILLING_HOME": str(tmp_path / "home"), "BILLING_DATA": str(data), "COLUMNS": "200"}
        return in_process(words, variables)

    return run


@pytest.fixture
def draft(tmp_path: Path) -> Callable[[str, str], Path]:
    """The project's own policies with one text in place of another."""

    def write(old: str, new: str) -> Path:
        text = OWN.read_text("utf-8")
        assert old in text
        path = tmp_path / "guard.yaml"
        path.write_text(text.replace(old, new), "utf-8")
        return path

    return write


def test_the_projects_own_policies_are_sound(tmp_path: Path, billing: Billing) -> None:
    """Each policy is shown once with all its plans, each charge with how it is estimated; no home is made for that."""
    done = billing("guard", "check", "--strict")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "0 faults, 0 warnings, 0 notes"
    for text in ("customer, day: 5000.00 USD", "growth, in trial", "12 deviations, from 50.00 EUR/minute on"):
        assert done.stdout.count(text) == 1
    assert "by its upper unit price" in done.stdout
    assert not (tmp_path / "home").exists()


def test_faults_are_told_with_status_1(draft: Callable[[str, str], Path], billing: Billing) -> None:
    """Each with its line, field and what to do; nothing is shown then."""
    path = draft("production: large", "production: lage")
    done = billing("guard", "check", path)
    assert done.returncode == 1
    first, last = done.stdout.splitlines()
    assert first.startswith(f"{path}:")
    assert first.endswith("plans.enterprise.production: unknown 'lage'; did you mean 'large'?")
    assert last == "1 fault, 0 warnings, 0 notes"


def test_a_fee_that_would_be_held_for_every_use_is_a_warning(
    draft: Callable[[str, str], Path], billing: Billing
) -> None:
    """It ends with status 1 only if strict."""
    path = draft(
        "    tool_calls: {unit_price: 0.01}", "    llm_tokens: {unit_price: 0.01}\n    gone: {unit_price: 1}"
    )
    done = billing("guard", "check", path)
    assert done.returncode == 0
    assert f"{path}: warning: upper_unit_prices.growth.tool_calls: missing: a unit may be" in done.stdout
    assert "so 5.006 is held for each one and 0.01 settled" in done.stdout
    assert "note: upper_unit_prices.growth.llm_tokens: has no use, the price is known exactly" in done.stdout
    assert "note: upper_unit_prices.growth.gone: no rule book has such a charge; only an" in done.stdout
    assert billing("guard", "check", "--strict", path).returncode == 1


def test_a_charge_that_nothing_bounds_is_a_warning(tmp_path: Path, billing: Billing) -> None:
    """Its usage is refused; so says the table, too."""
    data = tmp_path / "data"
    shutil.copytree(PROJECT_ROOT / "data" / "rule_books", data / "rule_books")
    book = data / "rule_books" / "2026-10-16.yaml"
    text = book.read_text("utf-8").replace(
        "price: {model: per_unit, unit_price: 0.0001}",
        "price: {model: volume, tiers: [{up_to: 10, unit_price: 2}, {unit_price: 1}]}",
    )
    book.write_text(text, "utf-8")
    done = billing("guard", "check", "--json", data=data)
    assert done.returncode == 0
    found = json.loads(done.stdout)
    first, *_ = found["warnings"]
    assert first == (
        "upper_unit_prices.standard.compute: missing: what the charge costs (all units: up to 10 at 2, above 10 at 1) "
        "is known only after the period, so its usage is refused"
    )
    assert found["notes"] == [f"there is no {data / 'guard.yaml'}: nothing is limited, and nobody is paused"]
    assert found["plans"]["growth"]["production"]["policy"] == "none"
    estimates = {(each["plan"], each["charge"]): each["estimate"] for each in found["charges"]}
    assert estimates["standard", "compute"] == "refused"
    assert estimates["standard", "tool_calls"] == "exact"
    assert estimates["growth", "compute"] == "dearest"


def test_the_policies_as_json(billing: Billing) -> None:
    """Amounts are nano-units as text; what never stops anybody is null."""
    found = json.loads(billing("guard", "check", "--json").stdout)
    assert (found["ok"], found["rule_version"], found["file"]) == (True, "2026-10-16", str(OWN))
    enterprise = found["plans"]["enterprise"]
    assert enterprise["currency"] == "eur"
    assert enterprise["production"]["breaker"]["spend"] == "2500000000000"
    assert enterprise["production"]["velocity"]["cost_per_call"] is None
    assert enterprise["production"]["limits"][0] == {
        "scope": "customer", "window": "period", "severity": "hard", "amount": "500000000000000",
    }  # fmt: skip
    assert enterprise["trial"]["counts_trial_usage"] is True


def test_the_doctor_names_faults_of_the_policies(tmp_path: Path, billing: Billing) -> None:
    """With file, line and field, as something to mend."""
    data = tmp_path / "data"
    shutil.copytree(PROJECT_ROOT / "data" / "rule_books", data / "rule_books")
    shutil.copy(PROJECT_ROOT / "data" / "registry.yaml", data)
    told = billing("doctor", data=data).stdout
    assert "nothing is limited (docs/guard-policies.md)" in told
    (data / "guard.yaml").write_text("policies: {p: {}}\ndefault: {production: q}", "utf-8")
    done = billing("doctor", data=data)
    assert done.returncode == 1
    unwrapped = "".join(line.strip("│ ") for line in done.stdout.splitlines())
    assert "guard.yaml:2: default.production: unknown 'q'; give one of p" in unwrapped
