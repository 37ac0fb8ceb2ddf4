"""What Stripe holds of some customers, read through the port; nothing is changed there."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Protocol

from billing_pipeline.invoicing.push.sending import Sender
from billing_pipeline.invoicing.stripe.port import StripeCreditNote, StripeInvoice, StripeLine


class StripeBooks(Protocol):
    """The part of `StripePort` that reads."""

    def account(self) -> str:
        """The account and mode that the key belongs to."""

    def invoices_of(self, stripe_customer_id: str) -> list[StripeInvoice]:
        """Every invoice of the customer, whoever made it."""

    def lines(self, invoice_id: str) -> list[StripeLine]:
        """Every line of an invoice."""

    def credit_notes(self, invoice_id: str) -> list[StripeCreditNote]:
        """Every credit note of an invoice."""


class RetryingBooks:
    """Books that are asked again as the retry classes of the push say (`push.retrying`)."""

    def __init__(self, books: StripeBooks, sender: Sender) -> None:
        self._books = books
        self._read = sender.read

    def account(self) -> str:
        """See `StripeBooks.account`."""
        return self._read(self._books.account)

    def invoices_of(self, stripe_customer_id: str) -> list[StripeInvoice]:
        """See `StripeBooks.invoices_of`."""
        return self._read(lambda: self._books.invoices_of(stripe_customer_id))

    def lines(self, invoice_id: str) -> list[StripeLine]:
        """See `StripeBooks.lines`."""
        return self._read(lambda: self._books.lines(invoice_id))

    def credit_notes(self, invoice_id: str) -> list[StripeCreditNote]:
        """See `StripeBooks.credit_notes`."""
        return self._read(lambda: self._books.credit_notes(invoice_id))


@dataclass(frozen=True)
class CustomerBooks:
    """One customer's invoices in Stripe, and of ours the lines and credit notes, by invoice id."""

    invoices: Mapping[str, StripeInvoice] = field(default_factory=dict)
    lines: Mapping[str, Sequence[StripeLine]] = field(default_factory=dict)
    credit_notes: Mapping[str, Sequence[StripeCreditNote]] = field(default_factory=dict)


def read_books(
    books: StripeBooks, stripe_customer_id: str, wanted: AbstractSet[str], noted: AbstractSet[str]
) -> CustomerBooks:
    """Read a customer's invoices.

    Args:
        books: Stripe.
        stripe_customer_id: whose.
        wanted: the invoices whose lines are read.
        noted: those whose credit notes are read in any case; of the wanted ones only where something is credited.

    Raises:
        StripeError: Stripe cannot be read.
    """
    invoices = {each.invoice_id: each for each in books.invoices_of(stripe_customer_id)}
    credited = [each for each in invoices.values() if each.invoice_id in wanted and each.credited]
    with_notes = {each.invoice_id for each in credited} | (noted & invoices.keys())
    return CustomerBooks(
        invoices,
        {invoice_id: books.lines(invoice_id) for invoice_id in sorted(wanted & invoices.keys())},
        {invoice_id: books.credit_notes(invoice_id) for invoice_id in sorted(with_notes)},
    )
