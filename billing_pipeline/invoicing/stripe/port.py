"""What the push needs of Stripe. `gateway.StripeGateway` is the one adapter; tests wrap or fake it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

LINE_ID = "line_id"
CUSTOMER_ID = "billing_customer_id"
PUSH = "billing_push"
"""Metadata by which our lines, customers and invoices are found again."""

Parameters = Mapping[str, Any]
"""The parameters of one request, exactly as the outbox keeps them: JSON values only."""


@dataclass(frozen=True, kw_only=True)
class StripeInvoice:
    """An invoice in Stripe; amounts are in Stripe's integer for the currency.

    `total` is without tax. `amount_remaining`: what is left to be paid. `created`: second of its making. `credited`:
    what its credit notes take off.
    """

    invoice_id: str
    status: str
    currency: str
    total: int
    metadata: Mapping[str, str]
    amount_remaining: int = 0
    created: int = 0
    credited: int = 0


@dataclass(frozen=True, kw_only=True)
class StripeLine:
    """A line of an invoice in Stripe; `line_id` is ours from the metadata, None on lines of others."""

    stripe_line_id: str
    line_id: str | None
    amount: int
    currency: str


@dataclass(frozen=True, kw_only=True)
class StripeCreditNote:
    """A credit note in Stripe; `total` is what it credits, in Stripe's integer for the currency, above zero."""

    credit_note_id: str
    invoice_id: str
    status: str
    currency: str
    total: int
    metadata: Mapping[str, str]


class StripePort(Protocol):
    """Every call raises a subclass of `StripeError` when Stripe does not do it."""

    def account(self) -> str:
        """The account and mode that the key belongs to, like `acct_123/test`."""

    def create_customer(self, parameters: Parameters, idempotency_key: str) -> str:
        """Create a customer; its id."""

    def find_customers(self, customer_id: str, created_since: int) -> list[str]:
        """Ids of the customers made for our `customer_id` at or after the second `created_since`."""

    def create_invoice(self, parameters: Parameters, idempotency_key: str) -> StripeInvoice:
        """Create a draft invoice."""

    def find_invoices(self, stripe_customer_id: str, push: str) -> list[StripeInvoice]:
        """The customer's invoices that carry our push in their metadata, by listing (search lags behind)."""

    def retrieve_invoice(self, invoice_id: str) -> StripeInvoice | None:
        """The invoice, or None where there is none (any more)."""

    def add_lines(self, invoice_id: str, parameters: Parameters, idempotency_key: str) -> StripeInvoice:
        """Add lines to a draft."""

    def lines(self, invoice_id: str) -> list[StripeLine]:
        """Every line of an invoice, through all pages."""

    def remove_lines(self, invoice_id: str, stripe_line_ids: Sequence[str]) -> None:
        """Take lines of others off a draft; they stay pending for whoever made them."""

    def invoices_of(self, stripe_customer_id: str) -> list[StripeInvoice]:
        """All invoices of a customer, whoever made them, newest first."""

    def create_credit_note(self, parameters: Parameters, idempotency_key: str) -> StripeCreditNote:
        """Issue a credit note on a finalized invoice."""

    def credit_notes(self, invoice_id: str) -> list[StripeCreditNote]:
        """All credit notes of an invoice, whoever made them, newest first."""

    def credit_note_lines(self, credit_note_id: str) -> list[StripeLine]:
        """Every line of a credit note, through all pages; amounts are above zero."""

    def finalize_invoice(
        self, invoice_id: str, parameters: Parameters, idempotency_key: str
    ) -> StripeInvoice:
        """Finalize a draft."""

    def delete_draft(self, invoice_id: str) -> None:
        """Delete a draft; one that is gone already is fine."""
