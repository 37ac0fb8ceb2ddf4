"""Invoice items and the lines they become on a draft."""

from typing import Any

from billing_pipeline.errors import CurrencyError
from billing_pipeline.invoicing.simulator.api_error import ApiError, missing, no_such
from billing_pipeline.invoicing.simulator.call import Call, endpoint
from billing_pipeline.invoicing.simulator.listing import created_within, page
from billing_pipeline.invoicing.simulator.store import Transaction
from billing_pipeline.invoicing.stripe.amounts import stripe_amount_fault

MAX_LINES = 250
_SHARED_FIELDS = ("amount", "currency", "description", "discountable", "livemode", "metadata", "period")


def find_invoice(
    transaction: Transaction, invoice_id: str, *, param: str, status: int = 404
) -> dict[str, Any]:
    """The invoice as stored, without its lines.

    Raises:
        ApiError: there is none of this id.
    """
    invoice = transaction.get("invoice", invoice_id)
    if invoice is None:
        raise no_such("invoice", invoice_id, param, status=status)
    return invoice


def with_lines(transaction: Transaction, invoice: dict[str, Any]) -> dict[str, Any]:
    """The invoice as answered: with the first page of its lines."""
    lines = page(
        transaction.scan("line_item", invoice["id"], newest_first=False),
        {},
        f"/v1/invoices/{invoice['id']}/lines",
    )
    return {**invoice, "lines": lines}


def add_lines(call: Call) -> dict[str, Any]:
    """Add lines to a draft, all or none.

    Raises:
        ApiError: no draft, too many lines, or an amount that the currency does not have.
    """
    invoice = find_invoice(call.transaction, call.object_id, param="invoice")
    for index, line in enumerate(call.parameters["lines"]):
        if "amount" not in line:
            raise missing(f"lines[{index}][amount]")
        item = create_item(
            call, invoice["customer"], {**line, "currency": invoice["currency"]}, invoice["id"]
        )
        attach(call.transaction, invoice, item, param=f"lines[{index}]")
    invoice["metadata"].update(call.parameters.get("invoice_metadata") or {})
    call.transaction.put(invoice)
    return with_lines(call.transaction, invoice)


def create_item(
    call: Call, customer_id: str, values: dict[str, Any], invoice_id: str | None
) -> dict[str, Any]:
    """A new invoice item of the customer, on an invoice or pending."""
    currency, amount = values["currency"], values["amount"]
    try:
        fault = stripe_amount_fault(amount, currency)
    except CurrencyError:
        fault = f"Invalid currency: {currency}"
    if fault:
        raise ApiError(fault, code="invalid_invoice_item_amount", param="amount")
    return call.transaction.insert(
        "invoiceitem",
        "ii",
        {
            "amount": amount,
            "currency": currency,
            "customer": customer_id,
            "date": call.now,
            "created": call.now,
            "description": values.get("description"),
            "discountable": values.get("discountable", amount >= 0),
            "invoice": invoice_id,
            "livemode": False,
            "metadata": values.get("metadata") or {},
            "period": values.get("period", {"start": call.now, "end": call.now}),
            "proration": False,
            "quantity": 1,
        },
        parent=customer_id,
    )


def attach(transaction: Transaction, invoice: dict[str, Any], item: dict[str, Any], *, param: str) -> None:
    """Make the item a line of the draft and count it into the totals (of the mapping; the caller stores it).

    Raises:
        ApiError: no draft, another currency, or one line too many.
    """
    if invoice["status"] != "draft":
        raise ApiError(
            "This invoice is no longer editable: only drafts take lines.",
            code="invoice_not_editable",
            param=param,
        )
    if item["currency"] != invoice["currency"]:
        raise ApiError(
            f"The item is in {item['currency']}, the invoice in {invoice['currency']}.", param=param
        )
    if transaction.count("line_item", invoice["id"]) >= MAX_LINES:
        raise ApiError(
            f"An invoice has at most {MAX_LINES} items.", code="invoice_too_many_items", param=param
        )
    transaction.insert(
        "line_item",
        "il",
        {
            **{name: item[name] for name in _SHARED_FIELDS},
            "invoice": invoice["id"],
            "parent": {
                "type": "invoice_item_details",
                "invoice_item_details": {"invoice_item": item["id"], "proration": False},
            },
            "quantity": item["quantity"],
            "subtotal": item["amount"],
        },
        parent=invoice["id"],
    )
    transaction.put({**item, "invoice": invoice["id"]})
    _add_to_totals(invoice, item["amount"])


def _add_to_totals(invoice: dict[str, Any], amount: int) -> None:
    total = invoice["total"] + amount
    due = max(total, 0)
    invoice.update(
        subtotal=total, total=total, total_excluding_tax=total, amount_due=due, amount_remaining=due
    )


def remove_lines(call: Call) -> dict[str, Any]:
    """Take lines off a draft, all or none: `delete` ends the item, `unassign` makes it pending again.

    Raises:
        ApiError: no draft, or a line that is not on it.
    """
    invoice = find_invoice(call.transaction, call.object_id, param="invoice")
    if invoice["status"] != "draft":
        raise ApiError("This invoice is no longer editable.", code="invoice_not_editable", param="invoice")
    for index, wanted in enumerate(call.parameters["lines"]):
        line = call.transaction.get("line_item", wanted["id"])
        if line is None or line["invoice"] != invoice["id"]:
            raise no_such("line item", wanted["id"], f"lines[{index}][id]", status=400)
        item_id = line["parent"]["invoice_item_details"]["invoice_item"]
        item = call.transaction.get("invoiceitem", item_id)
        call.transaction.delete(line["id"])
        if wanted["behavior"] == "delete":
            call.transaction.delete(item_id)
        elif item is not None:
            call.transaction.put({**item, "invoice": None})
        _add_to_totals(invoice, -line["amount"])
    invoice["metadata"].update(call.parameters.get("invoice_metadata") or {})
    call.transaction.put(invoice)
    return with_lines(call.transaction, invoice)


def list_lines(call: Call) -> dict[str, Any]:
    """The lines of an invoice, oldest first."""
    invoice = find_invoice(call.transaction, call.object_id, param="invoice")
    lines = call.transaction.scan("line_item", invoice["id"], newest_first=False)
    return page(lines, call.parameters, f"/v1/invoices/{invoice['id']}/lines")


def create_invoice_item(call: Call) -> dict[str, Any]:
    """An item on a draft, or pending for an invoice that includes pending items."""
    parameters = call.parameters
    for name in ("customer", "amount"):
        if name not in parameters:
            raise missing(name)
    customer_id: str = parameters["customer"]
    if call.transaction.get("customer", customer_id) is None:
        raise no_such("customer", customer_id, "customer", status=400)
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


ENDPOINTS = (
    endpoint(
        "POST", "/v1/invoices/{id}/add_lines", "InvoiceAddLinesParams", "invoice_metadata lines", add_lines
    ),
    endpoint(
        "POST",
        "/v1/invoices/{id}/remove_lines",
        "InvoiceRemoveLinesParams",
        "invoice_metadata lines",
        remove_lines,
    ),
    endpoint(
        "GET", "/v1/invoices/{id}/lines", "InvoiceLineItemListParams", "limit starting_after", list_lines
    ),
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
        "created customer invoice limit pending starting_after",
        list_invoice_items,
    ),
)
