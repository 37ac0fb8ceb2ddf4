"""A small rule book and its reading from text, for the tests of rating."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent, indent

import pytest

from billing_pipeline.rating.rule_book import RuleBook
from billing_pipeline.rating.rule_book_yaml import load_rule_book

_METERS = """
version: {version}
effective_from: {start}T00:00:00Z
units: [token, call, usd]
meters:
  tokens: {{unit: token, aggregation: sum, group_by: [model]}}
  calls: {{unit: call, aggregation: sum}}
  payments: {{unit: usd, aggregation: sum, group_by: [amount]}}
"""


@pytest.fixture
def read_book(tmp_path: Path) -> Callable[..., RuleBook]:
    """Read a rule book from the text of its plans (and more), with meters for tokens, calls and payments."""

    def read(text: str, *, version: str = "v1", start: str = "2026-01-01") -> RuleBook:
        path = tmp_path / f"{version}.yaml"
        path.write_text(_METERS.format(version=version, start=start) + indent(dedent(text), ""), "utf-8")
        return load_rule_book(path)

    return read
