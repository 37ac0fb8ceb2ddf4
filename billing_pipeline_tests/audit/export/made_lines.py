"""Invoice lines for the tests of exports, as they stand in the table."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

from billing_pipeline.audit.export.exported_lines import ExportedLine, InStripe
from billing_pipeline.audit.export.focus_rows import AroundLine, focus_rows
from billing_pipeline.audit.export.list_prices import ListPrices
from billing_pipeline.rating.rule_book import RuleBooks

FIRST, END, AFTER = date(2026, 10, 1), date(2026, 10, 31), date(2026, 11, 1)


def tier(quantity: str, amount: str, name: str = "", fee: str = "0") -> dict[str, str]:
    """One part of an amount."""
    return {"tier": name, "quantity": quantity, "unit_price": "", "flat_fee": fee, "amount": amount}


def made_line(*tiers: dict[str, str], **changes: Any) -> ExportedLine:
    """1,000,000 tokens at 12 dollars, unless told otherwise."""
    found = ExportedLine(
        customer_id="acme",
        billing_period=FIRST,
        currency="usd",
        period_end_day=END,
        line_id="0123",
        kind="usage",
        component="usage",
        term="",
        reason="",
        description="LLM tokens",
        project_id="p",
        plan="growth",
        charge="llm_tokens",
        meter="llm_tokens",
        unit="token",
        dimensions='{"model":"atlas-large","token_class":"output"}',
        rule_version="2026-10-16",
        usage_period=FIRST,
        rated_as_of=END,
        quantity=Decimal(1_000_000),
        quantity_before=Decimal(),
        amount=Decimal(12),
        amount_minor=1200,
        booked_before_minor=0,
        evidence_digest="d",
        rollup_partitions="[]",
        tiers=json.dumps(tiers or [tier("1000000", "12")]),
    )
    return found._replace(**changes)


def rows_of(
    line: ExportedLine, in_stripe: InStripe | None = None, books: RuleBooks | None = None
) -> list[dict[str, Any]]:
    """The line's rows of FOCUS."""
    prices = ListPrices(books or RuleBooks(()))
    return focus_rows(line, AroundLine("Atlas AI", "Acme Inc.", AFTER, in_stripe or InStripe(), prices))
