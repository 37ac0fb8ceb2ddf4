"""The lines of an invoice: added to, changed on and taken off a draft."""

from typing import Any

from billing_pipeline.invoicing.simulator.api_error import missing, no_such
from billing_pipeline.invoicing.simulator.call import Call, endpoint, understood_only
from billing_pipeline.invoicing.simulator.draft_lines import (
    attach,
    change_item,
    create_item,
    detach,
    find_invoice,
    require_draft,
    with_lines,
)
from billing_pipeline.invoicing.simulator.listing import page
from billing_pipeline.invoicing.simulator.metadata import merged
from billing_pipeline.invoicing.simulator.store import Transaction

_EDITABLE = frozenset({"amount", "description", "discountable", "metadata", "period"})


def add_lines(call: Call) -> dict[str, Any]:
    """Add lines to a draft, all or none.

    Raises:
        ApiError: no draft, too many lines, or an amount that the currency does not have.
    """
    invoice = find_invoice(call.transaction, call.object_id, param="invoice")
    for index, line in enumerate(call.parameters["lines"]):
        understood_only(line, _EDITABLE, f"lines[{index}]")
        if "amount" not in line:
            raise missing(f"lines[{index}][amount]")
        item = create_item(
            call, invoice["customer"], {**line, "currency": invoice["currency"]}, invoice["id"]
        )
        attach(call.transaction, invoice, item, param=f"lines[{index}]")
    invoice["metadata"] = merged(invoice["metadata"], call.parameters.get("invoice_metadata"))
    call.transaction.put(invoice)
    return with_lines(call.transaction, invoice)


def update_lines(call: Call) -> dict[str, Any]:
    """Change lines of a draft, all or none.

    Raises:
        ApiError: no draft, or no such line.
    """
    invoice = find_invoice(call.transaction, call.object_id, param="invoice")
    for index, change in enumerate(call.parameters["lines"]):
        understood_only(change, _EDITABLE | {"id"}, f"lines[{index}]")
        _change(call.transaction, invoice, change["id"], change, f"lines[{index}][id]")
    invoice["metadata"] = merged(invoice["metadata"], call.parameters.get("invoice_metadata"))
    call.transaction.put(invoice)
    return with_lines(call.transaction, invoice)


def update_line(call: Call) -> dict[str, Any]:
    """Change one line of a draft."""
    invoice = find_invoice(call.transaction, call.object_id, param="invoice")
    line = _change(call.transaction, invoice, call.child_id, call.parameters, "line_item_id")
    call.transaction.put(invoice)
    return line


def remove_lines(call: Call) -> dict[str, Any]:
    """Take lines off a draft, all or none; `unassign` leaves their items pending, `delete` does not.

    Raises:
        ApiError: no draft, or no such line.
    """
    invoice = find_invoice(call.transaction, call.object_id, param="invoice")
    require_draft(invoice, "lines")
    for index, removed in enumerate(call.parameters["lines"]):
        line = _find_line(call.transaction, invoice, removed["id"], f"lines[{index}][id]")
        detach(call.transaction, invoice, line, keep_item=removed["behavior"] == "unassign")
    invoice["metadata"] = merged(invoice["metadata"], call.parameters.get("invoice_metadata"))
    call.transaction.put(invoice)
    return with_lines(call.transaction, invoice)


def _change(
    transaction: Transaction, invoice: dict[str, Any], line_id: str, change: dict[str, Any], param: str
) -> dict[str, Any]:
    require_draft(invoice, param)
    line = _find_line(transaction, invoice, line_id, param)
    item_id = line["parent"]["invoice_item_details"]["invoice_item"]
    item = transaction.get("invoiceitem", item_id)
    if item is None:
        raise no_such("invoiceitem", item_id, param, status=400)
    change_item(transaction, item, change, invoice)
    return _find_line(transaction, invoice, line_id, param)


def _find_line(transaction: Transaction, invoice: dict[str, Any], line_id: str, param: str) -> dict[str, Any]:
    line = transaction.get("line_item", line_id)
    if line is None or line["invoice"] != invoice["id"]:
        raise no_such("line item", line_id, param, status=400)
    return line


def list_lines(call: Call) -> dict[str, Any]:
    """The lines of an invoice, oldest first."""
    invoice = find_invoice(call.transaction, call.object_id, param="invoice")
    lines = call.transaction.scan("line_item", invoice["id"], newest_first=False)
    return page(lines, call.parameters, f"/v1/invoices/{invoice['id']}/lines")


ENDPOINTS = (
    endpoint(
        "POST",
        "/v1/invoices/{id}/add_lines",
        "InvoiceAddLinesParams",
        "invoice_metadata lines",
        add_lines,
    ),
    endpoint(
        "POST",
        "/v1/invoices/{id}/update_lines",
        "InvoiceUpdateLinesParams",
        "invoice_metadata lines",
        update_lines,
    ),
    endpoint(
        "POST",
        "/v1/invoices/{id}/remove_lines",
        "InvoiceRemoveLinesParams",
        "invoice_metadata lines",
        remove_lines,
    ),
    endpoint(
        "GET",
        "/v1/invoices/{id}/lines",
        "InvoiceLineItemListParams",
        "ending_before limit starting_after",
        list_lines,
    ),
    endpoint(
        "POST",
        "/v1/invoices/{id}/lines/{child}",
        "InvoiceLineItemUpdateParams",
        " ".join(_EDITABLE),
        update_line,
    ),
)
