"""Approvals of invoices, kept for good. An approval is of the lines as they were: other lines need another one."""

from sqlalchemy import Engine, insert, select

from billing_pipeline.control.clock import now_us
from billing_pipeline.control.database import writing
from billing_pipeline.control.invoice_tables import INVOICE_APPROVALS
from billing_pipeline.invoicing.push.planned import PlannedInvoice

ApprovalKey = tuple[str, str, str, str]
"""Customer, billing period (its start as text), currency, hash of the lines."""


def approval_key(invoice: PlannedInvoice) -> ApprovalKey:
    """What an approval of the invoice as it is now is about."""
    return invoice.customer_id, invoice.billing_period.isoformat(), invoice.currency, invoice.lines_hash()


def approve(control: Engine, invoice: PlannedInvoice, approved_by: str, why: str) -> bool:
    """Keep that somebody approves the invoice as it is now; False where that is on record already."""
    key = approval_key(invoice)
    if key in approved(control):
        return False
    customer_id, period, currency, lines_hash = key
    with writing(control) as connection:
        connection.execute(
            insert(INVOICE_APPROVALS).values(
                customer_id=customer_id,
                billing_period=period,
                currency=currency,
                lines_hash=lines_hash,
                approved_by=approved_by,
                why=why,
                recorded_at=now_us(),
            )
        )
    return True


def approved(control: Engine) -> frozenset[ApprovalKey]:
    """All approvals."""
    table = INVOICE_APPROVALS.c
    query = select(table.customer_id, table.billing_period, table.currency, table.lines_hash)
    with control.connect() as connection:
        return frozenset((row[0], row[1], row[2], row[3]) for row in connection.execute(query))
