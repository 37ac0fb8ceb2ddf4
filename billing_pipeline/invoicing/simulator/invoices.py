"""Invoices: draft, then finalized (open, or paid where nothing is due)."""

from typing import Any

from billing_pipeline.invoicing.simulator.api_error import ApiError, missing, no_such
from billing_pipeline.invoicing.simulator.call import Call, endpoint
from billing_pipeline.invoicing.simulator.invoice_lines import attach, find_invoice, with_lines
from billing_pipeline.invoicing.simulator.listing import created_within, page
from billing_pipeline.rating.money import is_currency


def create_invoice(call: Call) -> dict[str, Any]:
    """A new draft, with the customer's pending items where asked.

    Raises:
        ApiError: no such customer, an unknown currency, terms that do not fit the collection method.
    """
    parameters = call.parameters
    customer_id = parameters.get("customer")
    if customer_id is None:
        raise missing("customer")
    customer = call.transaction.get("customer", customer_id)
    if customer is None:
        raise no_such("customer", customer_id, "customer", status=400)
    currency = parameters.get("currency") or customer["currency"] or "usd"
    if not is_currency(currency):
        raise ApiError(f"Invalid currency: {currency}", param="currency")
    if parameters.get("discounts"):
        raise ApiError("The simulator knows no coupons.", param="discounts")
    invoice = call.transaction.insert(
        "invoice", "in", _draft(call, customer_id, currency), parent=customer_id
    )
    if parameters.get("pending_invoice_items_behavior") == "include":
        pending = call.transaction.scan("invoiceitem", customer_id, newest_first=False)
        for item in [item for item in pending if item["invoice"] is None and item["currency"] == currency]:
            attach(call.transaction, invoice, item, param="pending_invoice_items_behavior")
        call.transaction.put(invoice)
    return with_lines(call.transaction, invoice)


def _draft(call: Call, customer_id: str, currency: str) -> dict[str, Any]:
    parameters = call.parameters
    collection = parameters.get("collection_method", "charge_automatically")
    days_until_due = parameters.get("days_until_due")
    if (collection == "send_invoice") != (days_until_due is not None):
        raise ApiError(
            "days_until_due goes with collection_method=send_invoice, and only with it.",
            param="days_until_due",
        )
    return {
        "amount_due": 0,
        "amount_paid": 0,
        "amount_remaining": 0,
        "auto_advance": parameters.get("auto_advance", False),
        "billing_reason": "manual",
        "collection_method": collection,
        "created": call.now,
        "currency": currency,
        "customer": customer_id,
        "description": parameters.get("description"),
        "due_date": None if days_until_due is None else call.now + days_until_due * 86_400,
        "ending_balance": None,
        "livemode": False,
        "metadata": parameters.get("metadata") or {},
        "number": None,
        "period_end": call.now,
        "period_start": call.now,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "starting_balance": 0,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "subtotal": 0,
        "total": 0,
        "total_excluding_tax": 0,
    }


def retrieve_invoice(call: Call) -> dict[str, Any]:
    """The invoice."""
    return with_lines(call.transaction, find_invoice(call.transaction, call.object_id, param="invoice"))


def list_invoices(call: Call) -> dict[str, Any]:
    """Invoices, newest first."""
    parameters = call.parameters
    invoices = (
        with_lines(call.transaction, invoice)
        for invoice in call.transaction.scan("invoice", parameters.get("customer"), newest_first=True)
        if parameters.get("status") in {None, invoice["status"]}
        and created_within(invoice, parameters.get("created"))
    )
    return page(invoices, parameters, "/v1/invoices")


def delete_invoice(call: Call) -> dict[str, Any]:
    """Delete a draft with its lines.

    Raises:
        ApiError: no such invoice, or no draft any more.
    """
    invoice = find_invoice(call.transaction, call.object_id, param="invoice")
    if invoice["status"] != "draft":
        raise ApiError("You can only delete draft invoices.", code="invoice_not_editable", param="invoice")
    for item in list(call.transaction.scan("invoiceitem", invoice["customer"], newest_first=False)):
        if item["invoice"] == invoice["id"]:
            call.transaction.delete(item["id"])
    call.transaction.delete(invoice["id"])
    return {"id": invoice["id"], "object": "invoice", "deleted": True}


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
    customer = call.transaction.get("customer", invoice["customer"])
    if customer is None:
        raise no_such("customer", invoice["customer"], "customer", status=400)
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


ENDPOINTS = (
    endpoint(
        "POST",
        "/v1/invoices",
        "InvoiceCreateParams",
        "auto_advance collection_method currency customer days_until_due description discounts metadata "
        "pending_invoice_items_behavior",
        create_invoice,
    ),
    endpoint(
        "GET",
        "/v1/invoices",
        "InvoiceListParams",
        "created customer limit starting_after status",
        list_invoices,
    ),
    endpoint("GET", "/v1/invoices/{id}", "InvoiceRetrieveParams", "", retrieve_invoice),
    endpoint("DELETE", "/v1/invoices/{id}", "InvoiceDeleteParams", "", delete_invoice),
    endpoint(
        "POST", "/v1/invoices/{id}/finalize", "InvoiceFinalizeInvoiceParams", "auto_advance", finalize_invoice
    ),
)
