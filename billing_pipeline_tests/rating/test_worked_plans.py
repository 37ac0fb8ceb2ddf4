"""What other products publish of minimums, maximums, discounts, trials and proration comes out to the cent."""

import textwrap
from collections import Counter
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from billing_pipeline.rating.agreement import Agreement, Assignment
from billing_pipeline.rating.charges import MeteredQuantity, RatedCharge
from billing_pipeline.rating.holdings import Rules
from billing_pipeline.rating.money import round_minor
from billing_pipeline.rating.rate import rate_period
from billing_pipeline.rating.rule_book import RuleBooks
from billing_pipeline.rating.rule_book_yaml import load_rule_book
from billing_pipeline_tests.rating.worked_example import Example, number, plan_examples

EXAMPLES = plan_examples()
LONG_AGO = date(2010, 1, 1)
JUNE = "2026-06-01"
BOOK = """\
version: "1"
effective_from: 2000-01-01T00:00:00Z
units: [unit]
meters:
  usage: {unit: unit, aggregation: sum}
plans:
"""


def books_of(example: Example, folder: Path) -> RuleBooks:
    plans = StringIO()
    YAML().serialize(example.keys["plans"].node, plans)
    path = folder / "book.yaml"
    path.write_text(BOOK + textwrap.indent(plans.getvalue(), "  "), "utf-8")
    return RuleBooks((load_rule_book(path),))


def agreement_of(example: Example) -> Agreement:
    """The plans from the days they are assigned; the only one from long ago where none is."""
    assigned = {name: date.fromisoformat(day.text()) for name, day in example.fields("assigned").items()}
    assigned = assigned or dict.fromkeys(example.fields("plans"), LONG_AGO)
    assignments = tuple(Assignment(name, start) for name, start in assigned.items())
    return Agreement("acme", assignments, anchor_day=int(example.text("anchor_day", "1")))


def rated(example: Example, folder: Path) -> tuple[RatedCharge, ...]:
    usage_period = date.fromisoformat(example.text("usage_period", JUNE))
    rows = [
        MeteredQuantity("acme", "project", meter, "unit", "{}", usage_period, "1", quantity, 1)
        for meter, quantity in example.amounts("usage").items()
    ]
    period = rate_period(agreement_of(example), usage_period, rows, Rules(books_of(example, folder)))
    assert not period.unpriced
    return period.charges


def minor(amounts: Mapping[str, Decimal], currency: str) -> dict[str, int]:
    return {name: round_minor(amount, currency) for name, amount in amounts.items()}


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.id for example in EXAMPLES])
def test_a_plan_gives_the_published_lines_and_total(example: Example, tmp_path: Path) -> None:
    """Per component or per charge, as far as the page says, and in all."""
    charges = rated(example, tmp_path)
    (currency,) = {charge.key.currency for charge in charges}
    by_component, by_charge = Counter[str](), Counter[str]()
    for charge in charges:
        by_component[charge.key.component] += charge.amount_minor
        by_charge[charge.key.charge] += charge.amount_minor
    if "lines" in example.keys:
        assert {name: amount for name, amount in by_component.items() if amount} == minor(
            example.amounts("lines"), currency
        )
    if "charges" in example.keys:
        assert dict(by_charge) == minor(example.amounts("charges"), currency)
    total = sum(charge.amount_minor for charge in charges)
    assert total == round_minor(number(example.keys["total"]), currency)
