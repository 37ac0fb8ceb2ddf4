"""Invoice items: pending until an invoice takes them in, or made for a draft."""

from typing import Any

from billing_pipeline.invoicing.simulator.api_error import ApiError, missing, no_such
from billing_pipeline.invoicing.simulator.call import Call, endpoint
from billing_pipeline.invoicing.simulator.customers import find_customer
from billing_pipeline.invoicing.simulator.draft_lines import (
    attach,
    change_item,
    create_item,
    detach,
    find_invoice,
    line_of,
    require_draft,
)
from billing_pipeline.invoicing.simulator.listing import created_within, page


def create_invoice_item(call: Call) -> dict[str, Any]:
    """An item on a draft, or pending for an invoice that includes pending items."""
    parameters = call.parameters
    for name in ("customer", "amount"):
        if name not in parameters:
            raise missing(name)
    customer_id: str = parameters["customer"]
    find_customer(call.transaction, customer_id)
    invoice_id: str | None = parameters.get("invoice")
    invoice = None
    if invoice_id is not None:
        invoice = find_invoice(call.transaction, invoice_id, param="invoice", status=400)
        if invoice["customer"] != customer_id:
            raise ApiError("The invoice belongs to another customer.", param="invoice")
    currency = parameters.get("currency") or (invoice["currency"] if invoice else "usd")
    item = create_item(call, customer_id, {**parameters, "currency": currency}, invoice_id)
    if invoice is not None:
        attach(call.transaction, invoice, item, param="invoice")
        call.transaction.put(invoice)
    return item


def list_invoice_items(call: Call) -> dict[str, Any]:
    """Invoice items, newest first."""
    parameters = call.parameters
    items = (
        item
        for item in call.transaction.scan("invoiceitem", parameters.get("customer"), newest_first=True)
        if parameters.get("invoice") in {None, item["invoice"]}
        and not (parameters.get("pending") and item["invoice"])
        and created_within(item, parameters.get("created"))
    )
    return page(items, parameters, "/v1/invoiceitems")


def retrieve_invoice_item(call: Call) -> dict[str, Any]:
    """The item.

    Raises:
        ApiError: there is none of this id.
    """
    item = call.transaction.get("invoiceitem", call.object_id)
    if item is None:
        raise no_such("invoiceitem", call.object_id, "id")
    return item


def update_invoice_item(call: Call) -> dict[str, Any]:
    """Change an item that is pending or on a draft."""
    item, invoice = _editable(call)
    changed = change_item(call.transaction, item, call.parameters, invoice)
    if invoice is not None:
        call.transaction.put(invoice)
    return changed


def delete_invoice_item(call: Call) -> dict[str, Any]:
    """Delete an item that is pending or on a draft."""
    item, invoice = _editable(call)
    if invoice is None:
        call.transaction.delete(item["id"])
    else:
        line = line_of(call.transaction, invoice["id"], item["id"])
        detach(call.transaction, invoice, line, keep_item=False)
        call.transaction.put(invoice)
    return {"id": item["id"], "object": "invoiceitem", "deleted": True}


def _editable(call: Call) -> tuple[dict[str, Any], dict[str, Any] | None]:
    item = retrieve_invoice_item(call)
    if item["invoice"] is None:
        return item, None
    invoice = find_invoice(call.transaction, item["invoice"], param="invoice", status=400)
    require_draft(invoice, "id")
    return item, invoice


ENDPOINTS = (
    endpoint(
        "POST",
        "/v1/invoiceitems",
        "InvoiceItemCreateParams",
        "amount currency customer description discountable invoice metadata period",
        create_invoice_item,
    ),
    endpoint(
        "GET",
        "/v1/invoiceitems",
        "InvoiceItemListParams",
        "created customer ending_before invoice limit pending starting_after",
        list_invoice_items,
    ),
    endpoint("GET", "/v1/invoiceitems/{id}", "InvoiceItemRetrieveParams", "", retrieve_invoice_item),
    endpoint(
        "POST",
        "/v1/invoiceitems/{id}",
        "InvoiceItemUpdateParams",
        "amount description discountable metadata period",
        update_invoice_item,
    ),
    endpoint("DELETE", "/v1/invoiceitems/{id}", "InvoiceItemDeleteParams", "", delete_invoice_item),
)
