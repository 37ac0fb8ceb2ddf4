"""A line as billed, from the table of invoice lines, and what of it goes to Stripe. Pure."""

from datetime import date
from decimal import Decimal
from typing import NamedTuple

from billing_pipeline.invoicing.push.planned import PlannedLine
from billing_pipeline.rating.money import grouped


class BilledLine(NamedTuple):
    """What the push needs of a row of `invoice_lines`; the fields are its columns."""

    customer_id: str
    billing_period: date
    currency: str
    line_id: str
    description: str
    amount_minor: int
    quantity: Decimal
    unit: str
    kind: str
    component: str
    term: str
    plan: str
    project_id: str
    usage_period: date
    reason: str
    rule_version: str
    evidence_digest: str

    @property
    def corrected_invoice(self) -> tuple[str, date, str]:
        """The invoice of the line's usage period: customer, billing period, currency."""
        return self.customer_id, self.usage_period, self.currency


BILLED_COLUMNS = ", ".join(BilledLine._fields)
"""What to select for them."""


def planned_line(line: BilledLine, corrects: str) -> PlannedLine:
    """The line as it is to stand in Stripe; `corrects` names the invoice that an adjustment corrects, or is ""."""
    metadata = {
        "kind": line.kind,
        "component": line.component,
        "term": line.term,
        "plan": line.plan,
        "project": line.project_id,
        "reason": line.reason,
        "corrects": corrects,
        "usage_period": line.usage_period.isoformat(),
        "rule_version": line.rule_version,
        "evidence_digest": line.evidence_digest,
    }
    return PlannedLine(
        line_id=line.line_id,
        description=line.description,
        amount_minor=line.amount_minor,
        quantity_text=f"{grouped(line.quantity)} {line.unit}" if line.unit else "",
        metadata={name: value for name, value in metadata.items() if value},
    )
