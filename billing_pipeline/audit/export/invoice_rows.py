"""Invoices as flat rows: every line beside its invoice's total and where it is in Stripe. Pure."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import groupby

from billing_pipeline.audit.export.exported_lines import Exported, ExportedLine
from billing_pipeline.rating.money import major_text, plain

INVOICE_COLUMNS = (
    *("customer_id", "customer_name", "billing_period", "period_end_day", "currency", "invoice_total_minor"),
    *(
        "invoice_total",
        "stripe_place",
        "stripe_invoice_id",
        "stripe_credit_note_id",
        "stripe_state",
        "line_id",
    ),
    *(
        "kind",
        "component",
        "term",
        "reason",
        "description",
        "project_id",
        "plan",
        "charge",
        "meter",
        "dimensions",
    ),
    *(
        "rule_version",
        "usage_period",
        "rated_as_of",
        "quantity",
        "quantity_before",
        "unit",
        "amount_unrounded",
    ),
    *("booked_before_minor", "amount_minor", "amount", "evidence_digest", "rollup_partitions"),
)


def invoices_of(day: Exported) -> Iterator[list[ExportedLine]]:
    """The lines of each invoice, in the order in which it is read."""
    for _, lines in groupby(day.lines, lambda line: (line.customer_id, line.billing_period, line.currency)):
        yield list(lines)


def invoice_rows(day: Exported, lines: Sequence[ExportedLine]) -> Iterator[tuple[object, ...]]:
    """A row per line of one invoice, in the order of `INVOICE_COLUMNS`."""
    total = sum(line.amount_minor for line in lines)
    for line in lines:
        stripe = day.in_stripe(line)
        yield (
            line.customer_id,
            day.customer_name(line.customer_id),
            line.billing_period,
            line.period_end_day,
            line.currency,
            total,
            Decimal(major_text(total, line.currency)),
            stripe.place,
            stripe.invoice_id,
            stripe.credit_note_id,
            stripe.state,
            line.line_id,
            *(line.kind, line.component, line.term, line.reason, line.description, line.project_id),
            *(line.plan, line.charge, line.meter, line.dimensions, line.rule_version),
            *(line.usage_period, line.rated_as_of),
            Decimal(plain(line.quantity)) if line.unit else None,
            Decimal(plain(line.quantity_before)) if line.unit else None,
            line.unit,
            Decimal(plain(line.amount)),
            line.booked_before_minor,
            line.amount_minor,
            Decimal(major_text(line.amount_minor, line.currency)),
            line.evidence_digest,
            line.rollup_partitions,
        )
