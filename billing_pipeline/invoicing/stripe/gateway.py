"""Stripe through its own SDK, version 16 and the API version that it pins.

What is set on purpose: retries (the client makes none by itself, and never for 429), a timeout (the default
is 80 s), telemetry off. The key is never logged, never part of a message and never shown by `repr`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar, cast

import stripe

from billing_pipeline.errors import (
    StripeError,
    StripeRefusedError,
    StripeServerError,
    StripeUnreachableError,
)
from billing_pipeline.invoicing.stripe.port import (
    CUSTOMER_ID,
    LINE_ID,
    PUSH,
    Parameters,
    StripeCreditNote,
    StripeInvoice,
    StripeLine,
)

if TYPE_CHECKING:
    from stripe import params as sdk

_PAGE_SIZE = 100
_Result = TypeVar("_Result")
_HTTP_NOT_FOUND, _HTTP_CONFLICT, _HTTP_TOO_MANY, _HTTP_SERVER_ERROR = 404, 409, 429, 500


class StripeGateway:
    """The adapter of `StripePort`.

    Args:
        api_key: secret or restricted key.
        api_base: another address than Stripe's, such as the simulator's.
        timeout_seconds: of one attempt.
        max_network_retries: attempts after the first where no answer came (or 409, 5xx); always with the same
            idempotency key.
    """

    def __init__(
        self,
        api_key: str,
        api_base: str | None = None,
        *,
        timeout_seconds: float = 30.0,
        max_network_retries: int = 2,
    ) -> None:
        stripe.enable_telemetry = False
        self._mode = "live" if "_live_" in api_key else "test"
        self._http_client = stripe.RequestsClient(timeout=timeout_seconds)
        self._client = stripe.StripeClient(
            api_key,
            base_addresses={"api": api_base} if api_base else {},
            max_network_retries=max_network_retries,
            http_client=self._http_client,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http_client.close()  # type: ignore[no-untyped-call]  # the SDK leaves it untyped

    def account(self) -> str:
        """The account and mode that the key belongs to."""
        with _errors_of("retrieve account"):
            return f"{self._client.v1.accounts.retrieve_current().id}/{self._mode}"

    def create_customer(self, parameters: Parameters, idempotency_key: str) -> str:
        """Create a customer; its id."""
        with _errors_of("create customer"):
            customer = self._client.v1.customers.create(
                cast("sdk.CustomerCreateParams", dict(parameters)), {"idempotency_key": idempotency_key}
            )
            return customer.id

    def find_customers(self, customer_id: str, created_since: int) -> list[str]:
        """Ids of the customers made for our `customer_id` at or after the second `created_since`."""
        with _errors_of("list customers"):
            found = self._client.v1.customers.list({"created": {"gte": created_since}, "limit": _PAGE_SIZE})
            return [
                customer.id
                for customer in found.auto_paging_iter()
                if _text_map(customer.metadata).get(CUSTOMER_ID) == customer_id
            ]

    def create_invoice(self, parameters: Parameters, idempotency_key: str) -> StripeInvoice:
        """Create a draft invoice."""
        with _errors_of("create invoice"):
            return _invoice(
                self._client.v1.invoices.create(
                    cast("sdk.InvoiceCreateParams", dict(parameters)), {"idempotency_key": idempotency_key}
                )
            )

    def find_invoices(self, stripe_customer_id: str, push: str) -> list[StripeInvoice]:
        """The customer's invoices that carry our push in their metadata, by listing."""
        return [
            invoice for invoice in self.invoices_of(stripe_customer_id) if invoice.metadata.get(PUSH) == push
        ]

    def invoices_of(self, stripe_customer_id: str) -> list[StripeInvoice]:
        """Every invoice of the customer, whoever made it."""
        with _errors_of("list invoices"):
            found = self._client.v1.invoices.list({"customer": stripe_customer_id, "limit": _PAGE_SIZE})
            return [_invoice(invoice) for invoice in found.auto_paging_iter()]

    def credit_notes_of(self, invoice_id: str) -> list[StripeCreditNote]:
        """Every credit note of an invoice, whoever made it."""
        with _errors_of("list credit notes"):
            found = self._client.v1.credit_notes.list({"invoice": invoice_id, "limit": _PAGE_SIZE})
            return [
                StripeCreditNote(
                    credit_note_id=note.id,
                    status=note.status,
                    amount=note.amount,
                    metadata=_text_map(note.metadata),
                )
                for note in found.auto_paging_iter()
            ]

    def retrieve_invoice(self, invoice_id: str) -> StripeInvoice | None:
        """The invoice, or None where there is none (any more)."""
        with _errors_of("retrieve invoice"):
            return _unless_gone(lambda: _invoice(self._client.v1.invoices.retrieve(invoice_id)))

    def add_lines(self, invoice_id: str, parameters: Parameters, idempotency_key: str) -> StripeInvoice:
        """Add lines to a draft."""
        with _errors_of("add lines"):
            return _invoice(
                self._client.v1.invoices.add_lines(
                    invoice_id,
                    cast("sdk.InvoiceAddLinesParams", dict(parameters)),
                    {"idempotency_key": idempotency_key},
                )
            )

    def lines(self, invoice_id: str) -> list[StripeLine]:
        """Every line of an invoice, through all pages."""
        with _errors_of("list lines"):
            found = self._client.v1.invoices.line_items.list(invoice_id, {"limit": _PAGE_SIZE})
            return [
                StripeLine(
                    line_id=_text_map(line.metadata).get(LINE_ID), amount=line.amount, currency=line.currency
                )
                for line in found.auto_paging_iter()
            ]

    def finalize_invoice(
        self, invoice_id: str, parameters: Parameters, idempotency_key: str
    ) -> StripeInvoice:
        """Finalize a draft."""
        with _errors_of("finalize invoice"):
            return _invoice(
                self._client.v1.invoices.finalize_invoice(
                    invoice_id,
                    cast("sdk.InvoiceFinalizeInvoiceParams", dict(parameters)),
                    {"idempotency_key": idempotency_key},
                )
            )

    def delete_draft(self, invoice_id: str) -> None:
        """Delete a draft; one that is gone already is fine."""
        with _errors_of("delete draft"):
            _unless_gone(lambda: self._client.v1.invoices.delete(invoice_id))


def _unless_gone(call: Callable[[], _Result]) -> _Result | None:
    try:
        return call()
    except stripe.InvalidRequestError as error:
        if error.http_status == _HTTP_NOT_FOUND:
            return None
        raise


@contextmanager
def _errors_of(operation: str) -> Iterator[None]:
    try:
        yield
    except stripe.StripeError as error:
        raise _as_ours(operation, error) from error


def _as_ours(operation: str, error: stripe.StripeError) -> StripeError:
    status, message = error.http_status, error.user_message or str(error)
    if (
        status is None
        or status in {_HTTP_CONFLICT, _HTTP_TOO_MANY}
        or isinstance(error, stripe.RateLimitError)
    ):
        return StripeUnreachableError(operation, message, status)
    if status >= _HTTP_SERVER_ERROR:
        return StripeServerError(operation, message, status)
    return StripeRefusedError(operation, message, status)


def _invoice(invoice: stripe.Invoice) -> StripeInvoice:
    return StripeInvoice(
        invoice_id=invoice.id,
        status=str(invoice.status),
        currency=invoice.currency,
        total=invoice.total,
        metadata=_text_map(invoice.metadata),
        created=invoice.created,
        credited=invoice.pre_payment_credit_notes_amount + invoice.post_payment_credit_notes_amount,
    )


def _text_map(metadata: "stripe.StripeObject | None") -> dict[str, str]:
    # Objects of the SDK are no dicts since version 13.
    return {} if metadata is None else {str(key): str(value) for key, value in metadata.to_dict().items()}
