"""Stripe through its own SDK, version 16 and the API version that it pins.

What is set on purpose: no retries (`push.retrying` decides about them), our own limit of requests per second, a timeout
(the default is 80 s), telemetry off. The key is never logged, never part of a message and never shown by `repr`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import stripe

from billing_pipeline.errors import (
    StripeError,
    StripeRefusedError,
    StripeServerError,
    StripeUnreachableError,
)
from billing_pipeline.invoicing.stripe.pacing import (
    LIVE_REQUESTS_PER_SECOND,
    TEST_REQUESTS_PER_SECOND,
    RateLimiter,
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


class _PacedClient(stripe.RequestsClient):
    """Waits for its place before every single request, pages of a list included."""

    def __init__(self, limiter: RateLimiter, timeout_seconds: float) -> None:
        super().__init__(timeout=timeout_seconds)
        self._limiter = limiter

    def request(  # type: ignore[override]  # the SDK's own client differs from its base class in the same way
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        self._limiter.wait()
        return super().request(method, url, headers, post_data)


class StripeGateway:
    """The adapter of `StripePort`. Threads may share it.

    Args:
        api_key: secret or restricted key.
        api_base: another address than Stripe's, such as the simulator's.
        timeout_seconds: of one request.
        requests_per_second: our own limit; None for what suits the key's mode, 0 for none.
    """

    def __init__(
        self,
        api_key: str,
        api_base: str | None = None,
        *,
        timeout_seconds: float = 30.0,
        requests_per_second: float | None = None,
    ) -> None:
        stripe.enable_telemetry = False
        self._mode = "live" if api_key.startswith(("sk_live_", "rk_live_")) else "test"
        if requests_per_second is None:
            usual = {"live": LIVE_REQUESTS_PER_SECOND, "test": TEST_REQUESTS_PER_SECOND}[self._mode]
            # The simulator has no other users, and no limit unless it is asked for one.
            requests_per_second = 0 if api_base else usual
        self._http_client = _PacedClient(RateLimiter(requests_per_second), timeout_seconds)
        self.client = stripe.StripeClient(
            api_key,
            base_addresses={"api": api_base} if api_base else {},
            max_network_retries=0,
            http_client=self._http_client,
        )
        """The SDK's client, for what has an adapter of its own; errors through `errors_of`."""

    def close(self) -> None:
        """Close the connections."""
        self._http_client.close()  # type: ignore[no-untyped-call]  # the SDK leaves it untyped

    def account(self) -> str:
        """The account and mode that the key belongs to."""
        with errors_of("retrieve account"):
            return f"{self.client.v1.accounts.retrieve_current().id}/{self._mode}"

    def create_customer(self, parameters: Parameters, idempotency_key: str) -> str:
        """Create a customer; its id."""
        with errors_of("create customer"):
            customer = self.client.v1.customers.create(
                cast("sdk.CustomerCreateParams", dict(parameters)), {"idempotency_key": idempotency_key}
            )
            return customer.id

    def find_customers(self, customer_id: str, created_since: int) -> list[str]:
        """Ids of the customers made for our `customer_id` at or after the second `created_since`."""
        with errors_of("list customers"):
            found = self.client.v1.customers.list({"created": {"gte": created_since}, "limit": _PAGE_SIZE})
            return [
                customer.id
                for customer in found.auto_paging_iter()
                if _text_map(customer.metadata).get(CUSTOMER_ID) == customer_id
            ]

    def create_invoice(self, parameters: Parameters, idempotency_key: str) -> StripeInvoice:
        """Create a draft invoice."""
        with errors_of("create invoice"):
            return _invoice(
                self.client.v1.invoices.create(
                    cast("sdk.InvoiceCreateParams", dict(parameters)), {"idempotency_key": idempotency_key}
                )
            )

    def find_invoices(self, stripe_customer_id: str, push: str) -> list[StripeInvoice]:
        """The customer's invoices that carry our push in their metadata, by listing."""
        found = self.invoices_of(stripe_customer_id)
        return [invoice for invoice in found if invoice.metadata.get(PUSH) == push]

    def invoices_of(self, stripe_customer_id: str) -> list[StripeInvoice]:
        """All invoices of a customer, whoever made them, newest first."""
        with errors_of("list invoices"):
            found = self.client.v1.invoices.list({"customer": stripe_customer_id, "limit": _PAGE_SIZE})
            return [_invoice(invoice) for invoice in found.auto_paging_iter()]

    def retrieve_invoice(self, invoice_id: str) -> StripeInvoice | None:
        """The invoice, or None where there is none (any more)."""
        with errors_of("retrieve invoice"):
            return _unless_gone(lambda: _invoice(self.client.v1.invoices.retrieve(invoice_id)))

    def add_lines(self, invoice_id: str, parameters: Parameters, idempotency_key: str) -> StripeInvoice:
        """Add lines to a draft."""
        with errors_of("add lines"):
            return _invoice(
                self.client.v1.invoices.add_lines(
                    invoice_id,
                    cast("sdk.InvoiceAddLinesParams", dict(parameters)),
                    {"idempotency_key": idempotency_key},
                )
            )

    def lines(self, invoice_id: str) -> list[StripeLine]:
        """Every line of an invoice, through all pages."""
        with errors_of("list lines"):
            found = self.client.v1.invoices.line_items.list(invoice_id, {"limit": _PAGE_SIZE})
            return [
                StripeLine(
                    stripe_line_id=line.id,
                    line_id=_text_map(line.metadata).get(LINE_ID),
                    amount=line.amount,
                    currency=line.currency,
                )
                for line in found.auto_paging_iter()
            ]

    def remove_lines(self, invoice_id: str, stripe_line_ids: Sequence[str]) -> None:
        """Take lines of others off a draft; they stay pending for whoever made them."""
        with errors_of("remove lines"):
            self.client.v1.invoices.remove_lines(
                invoice_id, {"lines": [{"id": each, "behavior": "unassign"} for each in stripe_line_ids]}
            )

    def create_credit_note(self, parameters: Parameters, idempotency_key: str) -> StripeCreditNote:
        """Issue a credit note on a finalized invoice."""
        with errors_of("create credit note"):
            return _credit_note(
                self.client.v1.credit_notes.create(
                    cast("sdk.CreditNoteCreateParams", dict(parameters)), {"idempotency_key": idempotency_key}
                )
            )

    def credit_notes(self, invoice_id: str) -> list[StripeCreditNote]:
        """All credit notes of an invoice, whoever made them, newest first."""
        with errors_of("list credit notes"):
            found = self.client.v1.credit_notes.list({"invoice": invoice_id, "limit": _PAGE_SIZE})
            return [_credit_note(note) for note in found.auto_paging_iter()]

    def credit_note_lines(self, credit_note_id: str) -> list[StripeLine]:
        """Every line of a credit note, through all pages."""
        with errors_of("list credit note lines"):
            note = self.client.v1.credit_notes.retrieve(credit_note_id)
            found = self.client.v1.credit_notes.line_items.list(credit_note_id, {"limit": _PAGE_SIZE})
            return [
                StripeLine(
                    stripe_line_id=line.id,
                    line_id=_text_map(line.metadata).get(LINE_ID),
                    amount=line.amount,
                    currency=note.currency,
                )
                for line in found.auto_paging_iter()
            ]

    def finalize_invoice(
        self, invoice_id: str, parameters: Parameters, idempotency_key: str
    ) -> StripeInvoice:
        """Finalize a draft."""
        with errors_of("finalize invoice"):
            return _invoice(
                self.client.v1.invoices.finalize_invoice(
                    invoice_id,
                    cast("sdk.InvoiceFinalizeInvoiceParams", dict(parameters)),
                    {"idempotency_key": idempotency_key},
                )
            )

    def delete_draft(self, invoice_id: str) -> None:
        """Delete a draft; one that is gone already is fine."""
        with errors_of("delete draft"):
            _unless_gone(lambda: self.client.v1.invoices.delete(invoice_id))


def _unless_gone(call: Callable[[], _Result]) -> _Result | None:
    try:
        return call()
    except stripe.InvalidRequestError as error:
        if error.http_status == _HTTP_NOT_FOUND:
            return None
        raise


@contextmanager
def errors_of(operation: str) -> Iterator[None]:
    """Turns the SDK's errors into ours.

    Raises:
        StripeError: the subclass that says what may be done about it.
    """
    try:
        yield
    except stripe.StripeError as error:
        raise _as_ours(operation, error) from error


def _as_ours(operation: str, error: stripe.StripeError) -> StripeError:
    status, message = error.http_status, error.user_message or str(error)
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    kind: type[StripeError] = StripeRefusedError
    if (
        status is None
        or status in {_HTTP_CONFLICT, _HTTP_TOO_MANY}
        or isinstance(error, stripe.RateLimitError)
    ):
        kind = StripeUnreachableError
    elif status >= _HTTP_SERVER_ERROR:
        kind = StripeServerError
    return kind(
        operation,
        message,
        status,
        retry_after_seconds=_seconds(headers.get("retry-after")),
        replayed=headers.get("idempotent-replayed", "").lower() == "true",
    )


def _seconds(text: str | None) -> float | None:
    """Of `Retry-After`; a date or nothing is left to the back-off."""
    return float(text) if text is not None and text.isascii() and text.isdecimal() else None


def _invoice(invoice: stripe.Invoice) -> StripeInvoice:
    # Tax is Stripe's; what is compared with our lines is the total without it.
    net = invoice.total_excluding_tax
    return StripeInvoice(
        invoice_id=invoice.id,
        status=str(invoice.status),
        currency=invoice.currency,
        total=invoice.total if net is None else net,
        metadata=_text_map(invoice.metadata),
        amount_remaining=invoice.amount_remaining,
        created=invoice.created,
        credited=invoice.pre_payment_credit_notes_amount + invoice.post_payment_credit_notes_amount,
    )


def _credit_note(note: stripe.CreditNote) -> StripeCreditNote:
    invoice = note.invoice
    return StripeCreditNote(
        credit_note_id=note.id,
        invoice_id=invoice if isinstance(invoice, str) else invoice.id,
        status=str(note.status),
        currency=note.currency,
        total=note.total,
        metadata=_text_map(note.metadata),
    )


def _text_map(metadata: "stripe.StripeObject | None") -> dict[str, str]:
    # Objects of the SDK are no dicts since version 13.
    return {} if metadata is None else {str(key): str(value) for key, value in metadata.to_dict().items()}
