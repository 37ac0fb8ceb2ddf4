"""A rule book with every section, and what is wrong with it after a change."""

from collections.abc import Callable
from pathlib import Path

import pytest

from billing_pipeline.errors import DocumentError
from billing_pipeline.rating.rule_book import RuleBook
from billing_pipeline.rating.rule_book_yaml import load_rule_book

BOOK = """\
version: "1"
effective_from: 2026-01-01T00:00:00Z
units: [token, call]
meters:
  tokens: {unit: token, aggregation: sum, group_by: [model]}
  calls: {unit: call, aggregation: count}
plans:
  team:
    currency: usd
    trial_days: 14
    charges:
      - {name: tokens, meter: tokens, price: {model: per_unit, unit_price: 0.001}}
      - {name: calls, meter: calls, price: {model: per_unit, unit_price: 0.01}}
      - {name: seats, price: {model: flat_fee, amount: 99.00, pay: in_advance, prorate: false}}
      - {name: support_plan, description: Support, price: {model: flat_fee, amount: 10.5}}
    discounts:
      - {name: launch, percent: 12.5, applies_to: [tokens], description: Launch offer}
      - {name: five_off, amount: 5.00}
    minimums:
      - {name: commitment, amount: 500.00, applies_to: [tokens, calls]}
    maximums:
      - {name: cap, amount: 900.00, prorate: true}
add_ons:
  sso:
    currency: usd
    charges:
      - {name: sso_fee, price: {model: flat_fee, amount: 20}}
coupons:
  welcome: {percent: 20, duration: once, applies_to: [tokens, sso_fee]}
  ten_off: {amount: 10.00, currency: usd, duration: 3}
  friends: {percent: 100, duration: forever, description: Friends}
"""
Change = tuple[str, str]


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., RuleBook]:
    """Loads the book with pieces of its text replaced, one after the other."""

    def load(*changes: Change) -> RuleBook:
        text = BOOK
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "book.yaml"
        path.write_text(text, "utf-8")
        return load_rule_book(path)

    return load


@pytest.fixture
def faults_of(load: Callable[..., RuleBook]) -> Callable[..., list[str]]:
    """The faults of the changed book, as `line: field: message`."""

    def faults_of(*changes: Change) -> list[str]:
        with pytest.raises(DocumentError) as caught:
            load(*changes)
        return [f"{fault.line}: {fault.field}: {fault.message}" for fault in caught.value.faults]

    return faults_of
