"""From a planned invoice to the parameters of every request that makes it. Pure; the outbox keeps them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from billing_pipeline.invoicing.push.planned import PlannedInvoice, PlannedLine
from billing_pipeline.invoicing.stripe.amounts import to_stripe_amount
from billing_pipeline.invoicing.stripe.port import CUSTOMER_ID, LINE_ID, PUSH, StripeInvoice, StripeLine

LINES_PER_REQUEST = 100


@dataclass(frozen=True)
class StripePlan:
    """Parameters of each request, in Stripe's integers. `invoice` lacks the customer, which Stripe names."""

    customer: Mapping[str, Any]
    invoice: Mapping[str, Any]
    batches: Sequence[Mapping[str, Any]]
    finalize: Mapping[str, Any]

    @property
    def push(self) -> str:
        """How this revision of this invoice is marked in Stripe, to be found again."""
        return str(self.invoice["metadata"][PUSH])

    def amounts(self) -> dict[str, int]:
        """Stripe amount by line id."""
        return {
            line["metadata"][LINE_ID]: line["amount"] for batch in self.batches for line in batch["lines"]
        }

    def to_json(self) -> str:
        """As the outbox keeps it."""
        return canonical_json(vars(self))

    @staticmethod
    def from_json(text: str) -> "StripePlan":
        """As the outbox kept it."""
        return StripePlan(**json.loads(text))


def stripe_plan(invoice: PlannedInvoice, revision: int) -> StripePlan:
    """The requests of one revision of an invoice that has no faults (`planned.invoice_faults`)."""
    period = invoice.billing_period.isoformat()
    push = f"{invoice.customer_id}/{period}/{invoice.currency}/{revision}"
    lines = [_line(line, invoice.currency) for line in invoice.lines]
    return StripePlan(
        customer={"name": invoice.customer_name, "metadata": {CUSTOMER_ID: invoice.customer_id}},
        invoice={
            "auto_advance": False,
            "collection_method": "charge_automatically",
            "currency": invoice.currency,
            "description": f"Usage, billing period {period}",
            # No coupon of the customer or the account: the total is the sum of our lines.
            "discounts": "",
            "metadata": {PUSH: push, CUSTOMER_ID: invoice.customer_id, "billing_period": period},
            "pending_invoice_items_behavior": "exclude",
        },
        batches=[
            {"lines": lines[start : start + LINES_PER_REQUEST]}
            for start in range(0, len(lines), LINES_PER_REQUEST)
        ],
        finalize={"auto_advance": False},
    )


def idempotency_key(account: str, operation: str, subject: str, batch: int, epoch: int) -> str:
    """Deterministic, and the same in every process: `add_lines-` and 40 hex digits."""
    content = canonical_json([account, operation, subject, batch, epoch])
    return f"{operation}-{hashlib.sha256(content.encode()).hexdigest()[:40]}"


def differences(plan: StripePlan, invoice: StripeInvoice, lines: Sequence[StripeLine]) -> list[str]:
    """How an invoice in Stripe differs from the plan: ids, amounts, currency, total; empty if it does not."""
    planned = plan.amounts()
    found: dict[str, int] = {}
    faults = []
    for line in lines:
        if line.line_id is None or line.line_id not in planned:
            faults.append(f"a line that is not ours (line_id {line.line_id}, amount {line.amount})")
        elif line.line_id in found:
            faults.append(f"line {line.line_id} is there twice")
        elif (line.amount, line.currency) != (planned[line.line_id], plan.invoice["currency"]):
            faults.append(
                f"line {line.line_id} has {line.amount} {line.currency} instead of "
                f"{planned[line.line_id]} {plan.invoice['currency']}"
            )
        found[line.line_id or ""] = line.amount
    faults += [f"line {line_id} is missing" for line_id in planned if line_id not in found]
    if invoice.currency != plan.invoice["currency"]:
        faults.append(f"the currency is {invoice.currency} instead of {plan.invoice['currency']}")
    if invoice.total != sum(planned.values()):
        faults.append(f"the total is {invoice.total} instead of {sum(planned.values())}")
    return faults


def canonical_json(value: Any) -> str:
    """One text for one value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _line(line: PlannedLine, currency: str) -> dict[str, Any]:
    quantity = {"quantity": line.quantity_text} if line.quantity_text else {}
    return {
        "amount": to_stripe_amount(line.amount_minor, currency),
        "description": line.description,
        "discountable": False,
        "metadata": {**line.metadata, **quantity, LINE_ID: line.line_id},
    }
