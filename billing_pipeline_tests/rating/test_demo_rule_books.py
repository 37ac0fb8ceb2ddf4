"""The rule books of the demo give the numbers that `docs/how-a-number-is-made.md` shows."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.rating.agreement import Agreement, Assignment
from billing_pipeline.rating.charges import MeteredQuantity, RatedPeriod
from billing_pipeline.rating.holdings import Rules
from billing_pipeline.rating.rate import rate_period
from billing_pipeline.rating.rule_book import RuleBooks
from billing_pipeline.rating.rule_book_yaml import load_rule_books

TRACE_MODELS = (
    "claude-haiku-4-5-20251001",
    "claude-opus-4-1-20250805",
    "claude-opus-4-5-20251101",
    "claude-opus-4-6",
    "claude-sonnet-4-20250514",
    "claude-sonnet-4-5-20250929",
    "azure-code-llm",
)
DEMO_MODELS = ("atlas-large", "atlas-small", "atlas-embed")


@pytest.fixture(scope="module")
def books() -> RuleBooks:
    return load_rule_books(Path(__file__).parents[2] / "data" / "rule_books")


def row(meter: str, unit: str, dimensions: str, day: int, quantity: str | int) -> MeteredQuantity:
    version = "2023-11-01" if day < 16 else "2026-10-16"
    used = date(2026, 10, day)
    return MeteredQuantity("c", "p", meter, unit, dimensions, used, version, Decimal(quantity), 1)


def rate(books: RuleBooks, plan: str, *rows: MeteredQuantity) -> RatedPeriod:
    return rate_period(Agreement("c", (Assignment(plan, date.min),)), date(2026, 10, 1), rows, Rules(books))


def test_tiers_go_on_through_a_price_change(books: RuleBooks) -> None:
    """4,000 calls before, 17,500 after: 31.00 and 107.00."""
    tool = '{"tool":"web_search"}'
    rows = [row("tool_calls", "call", tool, 20, 17_500), row("tool_calls", "call", tool, 10, 4000)]
    assert [charge.amount_minor for charge in rate(books, "growth", *rows).charges] == [3100, 10700]


def test_a_price_table_keeps_the_unrounded_amount(books: RuleBooks) -> None:
    """1,234,567 output tokens at 15 per 1,000,000."""
    output = '{"model":"atlas-large","token_class":"output"}'
    (charge,) = rate(books, "standard", row("llm_tokens", "token", output, 1, 1_234_567)).charges
    assert (charge.amount, charge.amount_minor) == (Decimal("18.518505"), 1852)


@pytest.mark.parametrize("plan", ["standard", "starter", "growth", "enterprise"])
def test_every_plan_prices_all_models_of_the_traces_and_the_demo(books: RuleBooks, plan: str) -> None:
    """In both versions, with all three token classes, and any tool and machine."""
    rows = [
        row("llm_tokens", "token", f'{{"model":"{model}","token_class":"{token_class}"}}', day, 1_000_000)
        for model in TRACE_MODELS + DEMO_MODELS
        for token_class in ("input_uncached", "input_cached", "output")
        for day in (1, 31)
    ]
    rows += [row("tool_calls", "call", '{"tool":"any"}', day, 1) for day in (1, 31)]
    rows += [row("compute_seconds", "second", "{}", day, "0.5") for day in (1, 31)]
    period = rate(books, plan, *rows)
    assert not period.unpriced
    tokens = [charge for charge in period.charges if charge.key.meter == "llm_tokens"]
    assert len(tokens) == 60
    assert all(charge.amount_minor > 0 for charge in tokens)


def test_a_model_without_a_price_is_not_billed_at_a_guess(books: RuleBooks) -> None:
    """The list has no default."""
    unknown = '{"model":"atlas-next","token_class":"output"}'
    period = rate(books, "standard", row("llm_tokens", "token", unknown, 1, 5))
    assert [fault.reason for fault in period.unpriced] == ["no_price_for_dimensions"]
