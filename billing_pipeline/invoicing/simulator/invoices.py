"""Invoices: made as drafts, listed, changed, and deleted while they are drafts."""

from typing import Any

from billing_pipeline.invoicing.simulator.api_error import ApiError, missing
from billing_pipeline.invoicing.simulator.call import Call, endpoint
from billing_pipeline.invoicing.simulator.customers import find_customer
from billing_pipeline.invoicing.simulator.draft_lines import (
    SINCE_ADDED,
    attach,
    find_invoice,
    require_draft,
    with_lines,
)
from billing_pipeline.invoicing.simulator.listing import created_within, page
from billing_pipeline.invoicing.simulator.metadata import merged
from billing_pipeline.rating.money import is_currency

_DRAFT_ONLY = frozenset({"collection_method", "days_until_due"})


def create_invoice(call: Call) -> dict[str, Any]:
    """A new draft, with the customer's pending items where asked.

    Raises:
        ApiError: no such customer, an unknown currency, terms that do not fit the collection method.
    """
    parameters = call.parameters
    customer_id = parameters.get("customer")
    if customer_id is None:
        raise missing("customer")
    customer = find_customer(call.transaction, customer_id)
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
        "footer": None,
        "livemode": False,
        "metadata": merged({}, parameters.get("metadata")),
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
        with_lines(call.transaction, {**SINCE_ADDED, **invoice})
        for invoice in call.transaction.scan("invoice", parameters.get("customer"), newest_first=True)
        if parameters.get("status") in {None, invoice["status"]}
        and parameters.get("collection_method") in {None, invoice["collection_method"]}
        and created_within(invoice, parameters.get("created"))
    )
    return page(invoices, parameters, "/v1/invoices")


def delete_invoice(call: Call) -> dict[str, Any]:
    """Delete a draft with its lines.

    Raises:
        ApiError: no such invoice, or no draft any more.
    """
    invoice = find_invoice(call.transaction, call.object_id, param="invoice")
    require_draft(invoice, "invoice")
    for item in list(call.transaction.scan("invoiceitem", invoice["customer"], newest_first=False)):
        if item["invoice"] == invoice["id"]:
            call.transaction.delete(item["id"])
    call.transaction.delete(invoice["id"])
    return {"id": invoice["id"], "object": "invoice", "deleted": True}


def update_invoice(call: Call) -> dict[str, Any]:
    """Change a draft, or what may still be changed of a finalized invoice: metadata and the like.

    Raises:
        ApiError: a field that is final.
    """
    invoice, parameters = find_invoice(call.transaction, call.object_id, param="invoice"), call.parameters
    if invoice["status"] != "draft":
        for name in sorted(_DRAFT_ONLY & parameters.keys()):
            raise ApiError(
                f"Finalized invoices can't be updated in this way: {name} is final.",
                code="invoice_not_editable",
                param=name,
            )
    collection = parameters.get("collection_method", invoice["collection_method"])
    if "days_until_due" in parameters:
        if collection != "send_invoice":
            raise ApiError("days_until_due goes with send_invoice only.", param="days_until_due")
        invoice["due_date"] = invoice["created"] + parameters["days_until_due"] * 86_400
    given: dict[str, Any] = {
        name: parameters[name] or None for name in ("description", "footer") if name in parameters
    }
    invoice.update(
        given,
        auto_advance=parameters.get("auto_advance", invoice["auto_advance"]),
        collection_method=collection,
        metadata=merged(invoice["metadata"], parameters.get("metadata")),
    )
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
        "collection_method created customer ending_before limit starting_after status",
        list_invoices,
    ),
    endpoint("GET", "/v1/invoices/{id}", "InvoiceRetrieveParams", "", retrieve_invoice),
    endpoint("DELETE", "/v1/invoices/{id}", "InvoiceDeleteParams", "", delete_invoice),
    endpoint(
        "POST",
        "/v1/invoices/{id}",
        "InvoiceUpdateParams",
        "auto_advance collection_method days_until_due description footer metadata",
        update_invoice,
    ),
)
