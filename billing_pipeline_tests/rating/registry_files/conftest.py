"""Two rule versions, and what is wrong with a registry file beside them."""

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import pytest

from billing_pipeline.contract.registry import Registry, RegistryChange
from billing_pipeline.errors import DocumentError
from billing_pipeline.rating.registry_files.loading import load_changes
from billing_pipeline.rating.rule_book import RuleBooks
from billing_pipeline.rating.rule_book_yaml import load_rule_books

FIRST = """\
version: "1"
effective_from: 2026-01-01T00:00:00Z
units: [token, call]
meters:
  tokens: {unit: token, aggregation: sum, group_by: [model]}
  calls: {unit: call, aggregation: count}
  searches: {unit: call, aggregation: count, filter: {tool: [search]}}
price_tables:
  list: {currency: usd, by: [model], per: 1000000, rows: [{match: {model: a}, unit_price: 1.10}]}
plans:
  team:
    currency: usd
    charges:
      - {name: tokens, meter: tokens, price: {model: per_unit, table: list}}
      - {name: calls, meter: calls, price: {model: per_unit, unit_price: 0.01}}
      - {name: seat, price: {model: flat_fee, amount: 99}}
    not_charged: [searches]
    discounts: [{name: launch, percent: 10, applies_to: [tokens, calls]}]
  solo:
    currency: usd
    charges:
      - {name: calls, meter: calls, price: {model: per_unit, unit_price: 0.02}}
  euro:
    currency: eur
    charges:
      - {name: calls, meter: calls, price: {model: per_unit, unit_price: 0.01}}
add_ons:
  sso: {currency: usd, charges: [{name: sso_fee, price: {model: flat_fee, amount: 20}}]}
coupons:
  welcome: {percent: 20, duration: once}
"""
SECOND = (
    FIRST.replace('version: "1"', 'version: "2"')
    .replace("2026-01-01T", "2026-07-01T")
    .replace("group_by: [model]", "group_by: [model, region]")
    .replace("  welcome: {percent: 20", "  summer: {percent: 20")
    .replace("  solo:", "  duo:")
)

TODAY = date(2026, 10, 15)


@pytest.fixture(scope="session")
def books(tmp_path_factory: pytest.TempPathFactory) -> RuleBooks:
    """Version 1 from January, 2 from July on: with another dimension, another coupon, and `duo` instead of `solo`."""
    folder = tmp_path_factory.mktemp("books")
    for version, text in (("1", FIRST), ("2", SECOND)):
        (folder / f"{version}.yaml").write_text(text, "utf-8")
    return load_rule_books(folder)


@pytest.fixture
def changes_of(tmp_path: Path, books: RuleBooks) -> Callable[..., list[RegistryChange]]:
    """The changes of a file, beside what is registered."""

    def load(text: str, known: Sequence[RegistryChange] = ()) -> list[RegistryChange]:
        path = tmp_path / "registry.yaml"
        path.write_text(text, "utf-8")
        return load_changes(path, Registry(known), books, today=TODAY)

    return load


@pytest.fixture
def faults_of(changes_of: Callable[..., list[RegistryChange]]) -> Callable[..., list[str]]:
    """The faults of a file, as `field: message`; none where it is right."""

    def load(text: str, known: Sequence[RegistryChange] = ()) -> list[str]:
        try:
            changes_of(text, known)
        except DocumentError as error:
            return [f"{fault.field}: {fault.message}" for fault in error.faults]
        return []

    return load
