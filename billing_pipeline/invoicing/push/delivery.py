"""Which way each line of a customer's invoice period goes to Stripe. Pure."""

from dataclasses import dataclass
from datetime import date

from billing_pipeline.invoicing.push.planned import PlannedInvoice, PlannedLine


@dataclass(frozen=True, kw_only=True)
class PlannedCreditNote:
    """What is less now for a final invoice: adjustment lines of `billing_period`, credited on the one they correct.

    Attributes:
        billing_period: the invoice period whose lines these are.
        corrects: the invoice period that is corrected.
        stripe_invoice_id: its invoice in Stripe.
        lines: all of them negative or zero; an invoice's other lines go with the invoice.
    """

    customer_id: str
    billing_period: date
    corrects: date
    currency: str
    stripe_invoice_id: str
    lines: tuple[PlannedLine, ...]

    @property
    def total_minor(self) -> int:
        """The sum of the lines, in minor units; below zero."""
        return sum(line.amount_minor for line in self.lines)


@dataclass(frozen=True, kw_only=True)
class PlannedDelivery:
    """All lines of a customer's invoice period in one currency, each in exactly one place.

    Attributes:
        invoice: what is pushed as an invoice; it may have no lines.
        credit_notes: what is credited on earlier invoices.
        metered: lines whose usage Stripe has been told of as meter events.
    """

    invoice: PlannedInvoice
    credit_notes: tuple[PlannedCreditNote, ...] = ()
    metered: tuple[PlannedLine, ...] = ()
