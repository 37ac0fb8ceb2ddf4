"""What `docs/guard-policies.md` shows can be read as it stands, and usage costs what it says."""

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.errors import UnpricedUsageError
from billing_pipeline.guardrails.nano import major_of
from billing_pipeline.guardrails.policies.policy import Policies
from billing_pipeline.guardrails.policies.policy_document import load_policies
from billing_pipeline.guardrails.policies.policy_reading import POLICY_KEYS
from billing_pipeline.guardrails.pricing.usage_pricer import UsagePricer
from billing_pipeline.guardrails.usage import Usage
from billing_pipeline.rating.charge_models.by_name import CHARGE_MODELS
from billing_pipeline.rating.holdings import Rules
from billing_pipeline.rating.rule_book import RuleBooks
from billing_pipeline.rating.rule_book_yaml import load_rule_books
from billing_pipeline_tests.guardrails.made_customers import MadeCustomers, acme, at

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "guard-policies.md").read_text("utf-8")
(EXAMPLE,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
ROWS = re.findall(
    r"^\| (\w+) \| (\d+) (\w+) \{(.*?)\} \| (.*?) \| (.*?) ?\|$",
    PAGE.split("### Examples")[1].split("\n## ")[0],
    re.MULTILINE,
)


@pytest.fixture(scope="module")
def books() -> RuleBooks:
    return load_rule_books(ROOT / "data" / "rule_books")


@pytest.fixture(scope="module")
def policies(books: RuleBooks) -> Policies:
    return load_policies(ROOT / "data" / "guard.yaml", books)


def test_the_example_is_read_and_says_everything_there_is(tmp_path: Path, books: RuleBooks) -> None:
    """Under the project's rule books; every field of a policy is in it, and in the table."""
    path = tmp_path / "guard.yaml"
    path.write_text(EXAMPLE, "utf-8")
    found = load_policies(path, books)
    assert found.unused == ()
    starter = found.by_plan["starter"]
    assert (starter.production.name, starter.trial.name) == ("prepaid", "trial")
    assert found.by_plan["enterprise"].production.limits[0].amount == 450 * 10**9
    for key in POLICY_KEYS:
        assert f"{key}:" in EXAMPLE
        assert key == "description" or f"| `{key}` |" in PAGE


def test_every_charge_model_is_in_the_table_of_prices() -> None:
    """So that nobody has to guess how a new one is held."""
    table = PAGE.split("| charge model |")[1].split("\n\n")[0]
    assert {name for name in CHARGE_MODELS if f"`{name}`" not in table} == set()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(row[:4]))
def test_usage_is_held_and_settled_as_shown(
    books: RuleBooks, policies: Policies, row: tuple[str, ...]
) -> None:
    """On the day that the page names."""
    plan, quantity, unit, dimensions, held, settled = row
    named = dict(part.split(": ") for part in dimensions.split(", ") if part)
    pricer = UsagePricer(MadeCustomers(books, acme(plan, start=date(2026, 1, 1))), Rules(books), policies)
    ask = ("acme", "p", [Usage(unit=unit, quantity=quantity, dimensions=named)], at("2026-10-20T12:00:00Z"))
    if not settled:
        with pytest.raises(UnpricedUsageError, match=held):
            pricer.estimate(*ask)
        return
    assert major_of(pricer.estimate(*ask)) == Decimal(held)
    assert major_of(pricer.actual(*ask)) == Decimal(settled)


def test_the_table_of_examples_is_there() -> None:
    """The pattern above finds every row of it."""
    section = PAGE.split("### Examples")[1].split("\n## ")[0]
    assert len(ROWS) == len(re.findall(r"^\| \w+ \| \d", section, re.MULTILINE)) == 10
