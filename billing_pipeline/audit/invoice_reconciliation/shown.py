"""The totals of each invoice on its way, for people: charges, invoice lines, Stripe, and why they differ."""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from billing_pipeline.audit.invoice_reconciliation.comparison import ReportRow, needing_someone
from billing_pipeline.rating.money import EXACT, format_minor

SHOWN_MOST = 200


class Totals(NamedTuple):
    """One customer's invoice period in one currency, in minor units."""

    customer_id: str
    billing_period: date
    currency: str
    charged: Decimal
    billed: Decimal
    in_stripe: Decimal
    causes: tuple[str, ...]
    needs_someone: bool

    @property
    def difference(self) -> Decimal:
        """What Stripe has beyond the charges."""
        return EXACT.subtract(self.in_stripe, self.charged)


def totals(rows: Iterable[ReportRow]) -> list[Totals]:
    """By customer, period and currency; other people's invoices in Stripe are named, and not in the sums."""
    found: dict[tuple[str, date, str], list[ReportRow]] = {}
    for row in rows:
        if row.comparison in {"charges_lines", "lines_stripe"}:
            key = (row.customer_id, row.billing_period, row.currency)
            found.setdefault(key, []).append(row)
    return [
        Totals(
            *key,
            _sum(row.expected for row in group if row.comparison == "charges_lines"),
            _sum(row.found for row in group if row.comparison == "charges_lines"),
            _sum(
                row.found
                for row in group
                if row.comparison == "lines_stripe" and row.cause != "foreign_invoice"
            ),
            tuple(dict.fromkeys(row.cause for row in group if row.cause)),
            bool(needing_someone(group)),
        )
        for key, group in sorted(found.items())
    ]


def totals_table(found: Sequence[Totals]) -> str:
    """As Markdown, those that need somebody first."""
    head = [
        "| customer | period | charges | invoice lines | Stripe | difference | cause |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    ordered = sorted(found, key=lambda each: not each.needs_someone)
    lines = [
        f"| {each.customer_id} | {each.billing_period} | "
        + " | ".join(
            _shown(amount, each.currency)
            for amount in (each.charged, each.billed, each.in_stripe, each.difference)
        )
        + f" | {', '.join(each.causes).replace('_', ' ')}{' **!**' if each.needs_someone else ''} |"
        for each in ordered[:SHOWN_MOST]
    ]
    more = len(found) - SHOWN_MOST
    return "\n".join([*head, *lines, *([f"\nand {more:,} more"] if more > 0 else [])])


def _shown(amount: Decimal, currency: str) -> str:
    return format_minor(int(amount), currency) if currency else ""


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    total = Decimal()
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total
