"""What our outbox knows of invoices, credit notes and deliveries: all that a delivery is decided by. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

from billing_pipeline.invoicing.policies.policy import Delivery

InvoiceKey = tuple[str, date, str]
"""Customer, billing period, currency: one invoice."""
DeliveryKey = tuple[str, str, date]
"""Customer, plan, billing period."""


@dataclass(frozen=True, kw_only=True)
class KnownInvoice:
    """The newest revision of an invoice.

    Attributes:
        stripe_invoice_id: where it stands in Stripe; None before it does.
        line_ids: the lines of a final invoice; read only for customers that have a decrease.
    """

    stripe_invoice_id: str | None
    total_minor: int
    finalized: bool
    line_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class KnownCreditNote:
    """The newest revision of a credit note, unless that was superseded.

    Attributes:
        billing_period: the invoice period whose lines it has.
        corrects: the invoice period it is credited on.
        total_minor: below zero.
        sent: whether it may stand in Stripe; from then on its lines stay where they are.
    """

    customer_id: str
    billing_period: date
    corrects: date
    currency: str
    stripe_invoice_id: str
    total_minor: int
    line_ids: frozenset[str]
    sent: bool


@dataclass(frozen=True, kw_only=True)
class KnownInvoices:
    """What the outbox of one Stripe account holds."""

    invoices: Mapping[InvoiceKey, KnownInvoice] = field(default_factory=dict)
    credit_notes: tuple[KnownCreditNote, ...] = ()
    deliveries: Mapping[DeliveryKey, Delivery] = field(default_factory=dict)

    def name_of(self, invoice: InvoiceKey) -> str:
        """How an invoice is named: by its id in Stripe where it is final, else `CUSTOMER/PERIOD/CURRENCY`."""
        known = self.final(invoice)
        if known is not None and known.stripe_invoice_id is not None:
            return known.stripe_invoice_id
        customer_id, period, currency = invoice
        return f"{customer_id}/{period}/{currency}"

    def final(self, invoice: InvoiceKey) -> KnownInvoice | None:
        """The invoice, where it is finalized."""
        known = self.invoices.get(invoice)
        return known if known is not None and known.finalized else None

    def credited_by_others(self, invoice: InvoiceKey, billing_period: date) -> int:
        """What the credit notes of other invoice periods take off an invoice, in minor units; 0 or more."""
        return -sum(
            note.total_minor
            for note in self._notes_on.get(invoice, ())
            if note.billing_period != billing_period
        )

    def notes_of(self, invoice: InvoiceKey) -> tuple[KnownCreditNote, ...]:
        """The credit notes that have lines of an invoice period, by what they correct."""
        return tuple(sorted(self._notes_by.get(invoice, ()), key=lambda note: note.corrects))

    @cached_property
    def _notes_on(self) -> Mapping[InvoiceKey, list[KnownCreditNote]]:
        found: dict[InvoiceKey, list[KnownCreditNote]] = {}
        for note in self.credit_notes:
            found.setdefault((note.customer_id, note.corrects, note.currency), []).append(note)
        return found

    @cached_property
    def _notes_by(self) -> Mapping[InvoiceKey, list[KnownCreditNote]]:
        found: dict[InvoiceKey, list[KnownCreditNote]] = {}
        for note in self.credit_notes:
            found.setdefault((note.customer_id, note.billing_period, note.currency), []).append(note)
        return found
