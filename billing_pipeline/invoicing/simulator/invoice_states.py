"""What becomes of an invoice: draft, then open, and from there paid, void or uncollectible."""

from typing import Any

from billing_pipeline.invoicing.simulator.api_error import ApiError
from billing_pipeline.invoicing.simulator.call import Call, endpoint
from billing_pipeline.invoicing.simulator.customers import find_customer
from billing_pipeline.invoicing.simulator.draft_lines import find_invoice, with_lines


def finalize_invoice(call: Call) -> dict[str, Any]:
    """Number the invoice and make it final; credit beyond zero goes to the customer's balance.

    Raises:
        ApiError: no such invoice, or no draft any more.
    """
    invoice = find_invoice(call.transaction, call.object_id, param="invoice")
    if invoice["status"] != "draft":
        raise ApiError(
            "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
            code="invoice_not_editable",
        )
    customer = find_customer(call.transaction, invoice["customer"])
    due = invoice["total"] + customer["balance"]
    invoice.update(
        amount_due=max(due, 0),
        amount_remaining=max(due, 0),
        auto_advance=call.parameters.get("auto_advance", invoice["auto_advance"]),
        ending_balance=min(due, 0),
        number=f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}",
        starting_balance=customer["balance"],
        status="open" if due > 0 else "paid",
    )
    invoice["status_transitions"]["finalized_at"] = call.now
    if due <= 0:
        invoice["status_transitions"]["paid_at"] = call.now
    customer.update(
        balance=min(due, 0),
        currency=customer["currency"] or invoice["currency"],
        next_invoice_sequence=customer["next_invoice_sequence"] + 1,
    )
    call.transaction.put(customer)
    call.transaction.put(invoice)
    return with_lines(call.transaction, invoice)


def void_invoice(call: Call) -> dict[str, Any]:
    """Void an open invoice, as if it had never been; the customer's balance gets back what was applied of it."""
    invoice = _in_state(call, {"open", "uncollectible"})
    applied = invoice["starting_balance"] - (invoice["ending_balance"] or 0)
    if applied:
        customer = find_customer(call.transaction, invoice["customer"])
        call.transaction.put({**customer, "balance": customer["balance"] + applied})
    return _moved(call, invoice, "void", "voided_at")


def mark_uncollectible(call: Call) -> dict[str, Any]:
    """Give an open invoice up."""
    return _moved(call, _in_state(call, {"open"}), "uncollectible", "marked_uncollectible_at")


def pay_invoice(call: Call) -> dict[str, Any]:
    """Pay what remains of an open invoice. Every payment succeeds: no money is moved here."""
    invoice = _in_state(call, {"open", "uncollectible"})
    invoice.update(amount_paid=invoice["amount_paid"] + invoice["amount_remaining"], amount_remaining=0)
    return _moved(call, invoice, "paid", "paid_at")


def send_invoice(call: Call) -> dict[str, Any]:
    """Send an open invoice again. Nobody gets mail from here."""
    invoice = _in_state(call, {"open", "paid"})
    if invoice["collection_method"] != "send_invoice":
        raise ApiError(
            "You can only manually send an invoice if its collection method is 'send_invoice'.",
            code="invoice_not_editable",
        )
    return with_lines(call.transaction, invoice)


def _in_state(call: Call, states: set[str]) -> dict[str, Any]:
    invoice = find_invoice(call.transaction, call.object_id, param="invoice")
    if invoice["status"] not in states:
        raise ApiError(
            f"This invoice is {invoice['status']}; this needs it to be {' or '.join(sorted(states))}.",
            code="invoice_not_editable",
            param="invoice",
        )
    return invoice


def _moved(call: Call, invoice: dict[str, Any], status: str, since: str) -> dict[str, Any]:
    invoice["status"] = status
    invoice["status_transitions"][since] = call.now
    call.transaction.put(invoice)
    return with_lines(call.transaction, invoice)


ENDPOINTS = (
    endpoint(
        "POST", "/v1/invoices/{id}/finalize", "InvoiceFinalizeInvoiceParams", "auto_advance", finalize_invoice
    ),
    endpoint("POST", "/v1/invoices/{id}/void", "InvoiceVoidInvoiceParams", "", void_invoice),
    endpoint(
        "POST",
        "/v1/invoices/{id}/mark_uncollectible",
        "InvoiceMarkUncollectibleParams",
        "",
        mark_uncollectible,
    ),
    endpoint("POST", "/v1/invoices/{id}/pay", "InvoicePayParams", "paid_out_of_band", pay_invoice),
    endpoint("POST", "/v1/invoices/{id}/send", "InvoiceSendInvoiceParams", "", send_invoice),
)
