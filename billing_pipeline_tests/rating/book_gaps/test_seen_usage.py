"""Usage that was seen is held against a book: what it would not price is told once, with who used how much."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.rating.agreement import Override
from billing_pipeline.rating.book_gaps.gap import Gap
from billing_pipeline.rating.book_gaps.seen_usage import SeenUsage, usage_gaps
from billing_pipeline.rating.rule_book import Meter, RuleBook
from billing_pipeline.rating.rule_book_yaml import load_rule_book

DEMO = Path(__file__).parents[3] / "data" / "rule_books" / "2026-10-16.yaml"
PRICE = ("plans", "growth", "charges", "llm_tokens", "price")


@pytest.fixture(scope="module")
def book() -> RuleBook:
    return load_rule_book(DEMO)


def seen(model: str = "atlas-large", customer_id: str = "acme", **fields: object) -> SeenUsage:
    usage = SeenUsage(
        customer_id=customer_id,
        plan="growth",
        meter="llm_tokens",
        unit="token",
        dimensions=f'{{"model":"{model}","token_class":"output"}}',
        quantity=Decimal(1000),
        event_count=1,
        first_day=date(2026, 10, 2),
        last_day=date(2026, 10, 3),
    )
    return usage._replace(**fields)  # type: ignore[arg-type]  # as given by the test


def test_usage_with_a_price_is_no_gap(book: RuleBook) -> None:
    """Nor is usage of a meter that the plan leaves free."""
    free = seen(plan="starter", meter="tool_calls", unit="call", dimensions='{"tool":"x"}')
    assert list(usage_gaps(book, [seen(), free])) == []


def test_usage_without_a_price_is_told_once_for_all_customers(book: RuleBook) -> None:
    """With what was looked up, how much of it, and in which days."""
    usages = [seen("nova"), seen("nova", "beta", quantity=Decimal("0.5"), first_day=date(2026, 9, 30))]
    message = (
        "no price for model=nova, token_class=output; acme and 1 other customer used 1,000.5 token "
        "from 2026-09-30 to 2026-10-03"
    )
    assert list(usage_gaps(book, usages)) == [Gap(PRICE, "usage_without_price", message)]


@pytest.mark.parametrize(
    "details",
    [
        {"charge": "llm_tokens", "price": {"model": "per_unit", "unit_price": "1"}},
        {
            "charge": "llm_tokens",
            "rows": [{"match": {"model": "nova", "token_class": "output"}, "unit_price": "1"}],
        },
    ],
)
def test_a_price_of_the_customers_own_fills_the_gap(book: RuleBook, details: dict[str, object]) -> None:
    """For that customer; an override of another charge, or another row, does not."""
    mine = Override("deal", date(2026, 1, 1), None, None, details)
    others = Override("else", date(2026, 1, 1), None, None, {**details, "charge": "compute"})
    other_row = {"charge": "llm_tokens", "rows": [{"match": {"model": "pulsar"}, "unit_price": "1"}]}
    third = Override("row", date(2026, 1, 1), None, None, other_row)
    assert list(usage_gaps(book, [seen("nova", overrides=(others, mine))])) == []
    assert len(list(usage_gaps(book, [seen("nova", overrides=(others, third))]))) == 1


def test_a_plan_that_customers_have_and_the_book_lacks_is_a_gap(book: RuleBook) -> None:
    """It is not guessed which other one they get."""
    (gap,) = usage_gaps(book, [seen(plan="legacy")])
    assert (gap.path, gap.code, gap.is_note) == (("plans",), "unknown_plan", False)


def test_usage_that_no_filter_lets_through_is_a_gap(book: RuleBook) -> None:
    """No meter would take it, unless another one of its unit does."""
    large = replace(book.meters["llm_tokens"], filter={"model": frozenset({"atlas-large"})})
    narrow = replace(book, meters={**book.meters, "llm_tokens": large})
    (gap,) = usage_gaps(narrow, [seen(), seen("nova")])
    assert gap.message.startswith("no filter lets model=nova, token_class=output through")
    other = Meter("other", "token", "sum")
    assert list(usage_gaps(replace(narrow, meters={**narrow.meters, "other": other}), [seen("nova")])) == []


def test_what_cannot_be_compared_is_noted(book: RuleBook) -> None:
    """Rollups of another meter, or without a dimension that the meter now groups by, prove nothing."""
    meter = replace(book.meters["llm_tokens"], group_by=("model", "token_class", "region"))
    finer = replace(book, meters={**book.meters, "llm_tokens": meter})
    gaps = list(usage_gaps(finer, [seen(), seen(meter="gone")]))
    assert [(gap.code, gap.is_note) for gap in gaps] == [("unknown_meter", True), ("not_comparable", True)]
    assert "groups by 'region'" in gaps[1].message
