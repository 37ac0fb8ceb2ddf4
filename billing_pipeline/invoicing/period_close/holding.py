"""What keeps an invoice from being finalized: an approval that is missing, an open review, or zero by policy."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Engine, select

from billing_pipeline.control.guard_tables import GUARD_REVIEWS
from billing_pipeline.invoicing.period_close.approvals import ApprovalKey, approval_key, approved
from billing_pipeline.invoicing.policies.policy import InvoicingPolicies
from billing_pipeline.invoicing.push.invoice_push import PushRules
from billing_pipeline.invoicing.push.known import InvoiceKey
from billing_pipeline.invoicing.push.planned import PlannedInvoice
from billing_pipeline.rating.money import format_minor
from billing_pipeline.rating.periods import period_name


@dataclass(frozen=True)
class Holding:
    """What is known when invoices are pushed.

    Attributes:
        reviews: by customer the guard's open reviews, oldest first.
        told_twice: why invoices have usage that Stripe knows already, until somebody approves them.
    """

    policies: InvoicingPolicies
    approved: Collection[ApprovalKey]
    reviews: Mapping[str, tuple[str, ...]]
    told_twice: Mapping[InvoiceKey, str] = field(default_factory=dict)

    @property
    def rules(self) -> PushRules:
        """As the push asks for it."""
        return PushRules(hold=self.hold, skip=self.skip)

    def hold(self, invoice: PlannedInvoice) -> str:
        """Why the invoice waits as a draft, and what to do; "" where it need not."""
        reasons = []
        reviews = self.reviews.get(invoice.customer_id, ())
        if reviews:
            reasons.append(
                f"open review {', '.join(reviews)} of the guard: decide it with `billing review`, then close the "
                "period again"
            )
        if self._needs_approval(invoice):
            stale = any(key[:3] == approval_key(invoice)[:3] for key in self.approved)
            changed = " (its lines have changed since it was approved)" if stale else ""
            reasons.append(
                f"waits for approval{changed}: `billing invoice approve {invoice.customer_id} "
                f"{period_name(invoice.billing_period)} --by WHO --why WHY`, then close the period again"
            )
        twice = self.told_twice.get((invoice.customer_id, invoice.billing_period, invoice.currency))
        if twice and approval_key(invoice) not in self.approved:
            reasons.append(twice)
        return "; ".join(reasons)

    def skip(self, invoice: PlannedInvoice) -> str:
        """Why the invoice is not sent at all; "" where it is."""
        if invoice.total_minor == 0 and self.policies.skips_zero(plans_of(invoice)):
            return f"comes to {format_minor(0, invoice.currency)}, which the plan's policy does not send"
        return ""

    def _needs_approval(self, invoice: PlannedInvoice) -> bool:
        return self.policies.needs_approval(plans_of(invoice)) and approval_key(invoice) not in self.approved


def plans_of(invoice: PlannedInvoice) -> frozenset[str]:
    """The plans and add-ons that the invoice has lines of."""
    return frozenset(plan for line in invoice.lines if (plan := line.metadata.get("plan")))


def read_holding(control: Engine, policies: InvoicingPolicies) -> Holding:
    """What holds now."""
    table = GUARD_REVIEWS.c
    query = (
        select(table.customer_id, table.review_id)
        .where(table.decided_at.is_(None))
        .order_by(table.customer_id, table.opened_at, table.review_id)
    )
    reviews: dict[str, tuple[str, ...]] = {}
    with control.connect() as connection:
        for customer_id, review_id in connection.execute(query):
            reviews[customer_id] = (*reviews.get(customer_id, ()), str(review_id))
    return Holding(policies, approved(control), reviews)
