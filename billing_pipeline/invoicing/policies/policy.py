"""How the invoices of each plan leave the house. Values only; none of them changes an amount."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

Approval = Literal["none", "required"]
ZeroInvoices = Literal["send", "skip"]
Decreases = Literal["next_invoice", "credit_note"]
Delivery = Literal["rated_lines", "meter_events"]


@dataclass(frozen=True)
class InvoicingPolicy:
    """What holds for a plan.

    Attributes:
        approval: `required` lets an invoice wait as a verified draft until somebody approves it.
        zero_invoices: whether an invoice whose lines come to zero is sent or skipped.
        decreases: how what is less now for a finalized period reaches the customer.
        delivery: usage as our rated lines, or as meter events that Stripe prices.
    """

    approval: Approval = "none"
    zero_invoices: ZeroInvoices = "send"
    decreases: Decreases = "next_invoice"
    delivery: Delivery = "rated_lines"


@dataclass(frozen=True)
class InvoicingPolicies:
    """The policy of every plan and add-on; one that has none of its own has the default."""

    default: InvoicingPolicy = InvoicingPolicy()
    by_plan: Mapping[str, InvoicingPolicy] = field(default_factory=dict)

    def of(self, plan: str) -> InvoicingPolicy:
        """What holds for a plan or add-on."""
        return self.by_plan.get(plan, self.default)

    def needs_approval(self, plans: Collection[str]) -> bool:
        """Whether an invoice with lines of these plans waits for approval: where one of them does."""
        return any(self.of(plan).approval == "required" for plan in plans)

    def skips_zero(self, plans: Collection[str]) -> bool:
        """Whether an invoice of zero with lines of these plans is skipped: where all of them skip it."""
        return bool(plans) and all(self.of(plan).zero_invoices == "skip" for plan in plans)
