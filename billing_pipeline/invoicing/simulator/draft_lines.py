"""What a draft is made of: invoice items of the customer, each of which is a line once it is on an invoice."""

from typing import Any

from billing_pipeline.errors import CurrencyError
from billing_pipeline.invoicing.simulator.api_error import ApiError, no_such
from billing_pipeline.invoicing.simulator.call import Call
from billing_pipeline.invoicing.simulator.listing import page
from billing_pipeline.invoicing.simulator.metadata import merged
from billing_pipeline.invoicing.simulator.store import Transaction
from billing_pipeline.invoicing.stripe.amounts import stripe_amount_fault

MAX_LINES = 250
_SHARED_FIELDS = ("amount", "currency", "description", "discountable", "livemode", "metadata", "period")
SINCE_ADDED: dict[str, Any] = {
    "footer": None,
    "post_payment_credit_notes_amount": 0,
    "pre_payment_credit_notes_amount": 0,
}


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
    # A store of an older version has invoices without what was added since.
    return {**SINCE_ADDED, **invoice}


def with_lines(transaction: Transaction, invoice: dict[str, Any]) -> dict[str, Any]:
    """The invoice as answered: with the first page of its lines."""
    lines = page(
        transaction.scan("line_item", invoice["id"], newest_first=False),
        {},
        f"/v1/invoices/{invoice['id']}/lines",
    )
    return {**invoice, "lines": lines}


def require_draft(invoice: dict[str, Any], param: str) -> None:
    """Refuse a change that only drafts allow.

    Raises:
        ApiError: it is none any more.
    """
    if invoice["status"] != "draft":
        raise ApiError(
            "This invoice is no longer editable: only drafts allow this.",
            code="invoice_not_editable",
            param=param,
        )


def create_item(
    call: Call, customer_id: str, values: dict[str, Any], invoice_id: str | None
) -> dict[str, Any]:
    """A new invoice item of the customer, on an invoice or pending."""
    currency, amount = values["currency"], values["amount"]
    _check_amount(amount, currency)
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
            "metadata": merged({}, values.get("metadata")),
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
    require_draft(invoice, param)
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


def detach(
    transaction: Transaction, invoice: dict[str, Any], line: dict[str, Any], *, keep_item: bool
) -> None:
    """Take a line off the draft; its item is pending again, or gone."""
    item_id = line["parent"]["invoice_item_details"]["invoice_item"]
    item = transaction.get("invoiceitem", item_id)
    transaction.delete(line["id"])
    if keep_item and item is not None:
        transaction.put({**item, "invoice": None})
    else:
        transaction.delete(item_id)
    add_to_total(invoice, -line["amount"])


def change_item(
    transaction: Transaction, item: dict[str, Any], change: dict[str, Any], invoice: dict[str, Any] | None
) -> dict[str, Any]:
    """Change an item and, on a draft, its line and the totals (of the mapping; the caller stores it)."""
    amount = change.get("amount", item["amount"])
    _check_amount(amount, item["currency"])
    editable = ("amount", "description", "discountable", "period")
    given = {name: change[name] for name in editable if name in change}
    changed = {**item, **given, "metadata": merged(item["metadata"], change.get("metadata"))}
    transaction.put(changed)
    if invoice is not None:
        line = line_of(transaction, invoice["id"], item["id"])
        line.update({name: changed[name] for name in _SHARED_FIELDS}, subtotal=amount)
        transaction.put(line)
        add_to_total(invoice, amount - item["amount"])
    return changed


def line_of(transaction: Transaction, invoice_id: str, item_id: str) -> dict[str, Any]:
    """The line that an item is on its invoice."""
    return next(
        line
        for line in transaction.scan("line_item", invoice_id, newest_first=False)
        if line["parent"]["invoice_item_details"]["invoice_item"] == item_id
    )


def add_to_total(invoice: dict[str, Any], amount: int) -> None:
    """Count an amount into what a draft comes to."""
    total = invoice["total"] + amount
    due = max(total, 0)
    invoice.update(
        subtotal=total, total=total, total_excluding_tax=total, amount_due=due, amount_remaining=due
    )


def _check_amount(amount: int, currency: str) -> None:
    try:
        fault = stripe_amount_fault(amount, currency)
    except CurrencyError:
        fault = f"Invalid currency: {currency}"
    if fault:
        raise ApiError(fault, code="invalid_invoice_item_amount", param="amount")
