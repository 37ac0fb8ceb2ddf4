"""Rule books in two currencies, and the reading of policies from text."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from billing_pipeline.guardrails.policies.policy import Policies
from billing_pipeline.guardrails.policies.policy_document import load_policies
from billing_pipeline.rating.rule_book import RuleBooks
from billing_pipeline.rating.rule_book_yaml import load_rule_book

_BOOK = """
version: v1
effective_from: 2026-01-01T00:00:00Z
units: [call]
meters: {calls: {unit: call, aggregation: sum}}
plans:
  growth: {currency: usd, charges: [{name: calls, meter: calls, price: {model: per_unit, unit_price: 1}}]}
  starter: {currency: usd, charges: []}
  enterprise: {currency: eur, charges: []}
add_ons:
  seats: {currency: usd, charges: []}
"""


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> RuleBooks:
    """Plans growth and starter in US dollars, enterprise in euros; an add-on."""
    path = tmp_path_factory.mktemp("books") / "v1.yaml"
    path.write_text(_BOOK, "utf-8")
    return RuleBooks((load_rule_book(path),))


@pytest.fixture
def read(tmp_path: Path, books: RuleBooks) -> Callable[[str], Policies]:
    """Read policies from the text of a document."""

    def run(text: str) -> Policies:
        path = tmp_path / "guard.yaml"
        path.write_text(dedent(text), "utf-8")
        return load_policies(path, books)

    return run
