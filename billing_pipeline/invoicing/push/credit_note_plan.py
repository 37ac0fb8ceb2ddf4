"""From a planned credit note to the parameters of the one request that issues it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from billing_pipeline.invoicing.push.delivery import PlannedCreditNote
from billing_pipeline.invoicing.push.planned import PlannedLine
from billing_pipeline.invoicing.stripe.amounts import to_stripe_amount
from billing_pipeline.invoicing.stripe.port import (
    CUSTOMER_ID,
    LINE_ID,
    PUSH,
    StripeCreditNote,
    StripeInvoice,
    StripeLine,
)
from billing_pipeline.rating.periods import period_name

CREDITED_STATUSES = ("open", "paid")
"""Of invoices: Stripe credits nothing on others."""
_REASON = "order_change"
"""The one of Stripe's four reasons that says: something else was due than was invoiced."""


def note_subject(note: PlannedCreditNote, revision: int) -> str:
    """How a revision of a credit note is marked in Stripe, and what its request is about."""
    return f"{note.customer_id}/{note.billing_period}/{note.currency}/corrects {note.corrects}/{revision}"


def credit_note_parameters(note: PlannedCreditNote, revision: int, amount_remaining: int) -> dict[str, Any]:
    """What is sent. `amount_remaining`: still to be paid of the invoice, in Stripe's integer.

    What goes beyond that has been paid already: it is credited to the customer's balance, which pays later invoices.
    """
    lines = [_line(line, note.currency) for line in note.lines]
    to_balance = max(0, sum(line["unit_amount"] for line in lines) - max(0, amount_remaining))
    return {
        "invoice": note.stripe_invoice_id,
        "lines": lines,
        "memo": f"Adjustments for {period_name(note.corrects)}, known since {period_name(note.billing_period)}",
        "metadata": {
            PUSH: note_subject(note, revision),
            CUSTOMER_ID: note.customer_id,
            "billing_period": note.billing_period.isoformat(),
            "corrects": note.stripe_invoice_id,
            "usage_period": note.corrects.isoformat(),
        },
        "reason": _REASON,
        **({"credit_amount": to_balance} if to_balance else {}),
    }


def why_not_credited(invoice_id: str, invoice: StripeInvoice | None, credited: int) -> str:
    """Why nothing (or not so much, in Stripe's integer) can be credited on an invoice; "" where it can."""
    if invoice is None:
        return f"{invoice_id} is not in Stripe"
    if invoice.status not in CREDITED_STATUSES:
        return f"{invoice_id} is {invoice.status} in Stripe"
    if invoice.total < credited:
        return f"{invoice_id} comes to {invoice.total} in Stripe, less than the {credited} to be credited"
    return ""


def note_differences(
    parameters: Mapping[str, Any], note: StripeCreditNote, lines: Sequence[StripeLine]
) -> list[str]:
    """How a credit note in Stripe differs from what was sent; empty if it does not."""
    planned = {line["metadata"][LINE_ID]: line["unit_amount"] for line in parameters["lines"]}
    faults = []
    if note.status != "issued":
        faults.append(f"{note.credit_note_id} is {note.status} in Stripe")
    if note.invoice_id != parameters["invoice"]:
        faults.append(f"it is credited on {note.invoice_id} instead of {parameters['invoice']}")
    if note.total != sum(planned.values()):
        faults.append(f"the total is {note.total} instead of {sum(planned.values())}")
    found = sorted((line.line_id or "", line.amount) for line in lines)
    if found != sorted(planned.items()):
        odd = sorted({line_id or "not ours" for line_id, _ in set(found) ^ set(planned.items())})
        faults.append(
            f"lines are missing, foreign or of another amount: {', '.join(odd) or 'one is there twice'}"
        )
    return faults


def _line(line: PlannedLine, currency: str) -> dict[str, Any]:
    quantity = {"quantity": line.quantity_text} if line.quantity_text else {}
    return {
        "type": "custom_line_item",
        "description": line.description,
        "quantity": 1,
        "unit_amount": to_stripe_amount(-line.amount_minor, currency),
        "metadata": {**line.metadata, **quantity, LINE_ID: line.line_id},
    }
