"""The lines of a credit note: of their own, or taken back of a line of the invoice."""

from typing import Any

from billing_pipeline.invoicing.simulator.api_error import ApiError, missing, no_such
from billing_pipeline.invoicing.simulator.call import Call, understood_only
from billing_pipeline.invoicing.simulator.listing import page
from billing_pipeline.invoicing.simulator.metadata import merged
from billing_pipeline.invoicing.simulator.store import Transaction

_UNDERSTOOD = {
    "custom_line_item": frozenset(["description", "metadata", "quantity", "type", "unit_amount"]),
    "invoice_line_item": frozenset(["amount", "description", "invoice_line_item", "metadata", "type"]),
}


def credited_lines(
    transaction: Transaction, invoice: dict[str, Any], lines: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The lines to be kept, with their amounts.

    Raises:
        ApiError: a line that is incomplete, not on the invoice, or more than its line came to.
    """
    found: list[dict[str, Any]] = []
    for index, line in enumerate(lines):
        prefix = f"lines[{index}]"
        understood_only(line, _UNDERSTOOD[line["type"]], prefix)
        kept = (
            _custom(line, prefix)
            if line["type"] == "custom_line_item"
            else _taken_back(transaction, invoice, line, prefix, found)
        )
        if kept["amount"] <= 0:
            raise ApiError("Lines of a credit note are positive.", param=prefix)
        found.append(
            {
                "discount_amount": 0,
                "livemode": False,
                "metadata": merged({}, line.get("metadata")),
                "type": line["type"],
                **kept,
            }
        )
    return found


def _custom(line: dict[str, Any], prefix: str) -> dict[str, Any]:
    for name in ("description", "quantity", "unit_amount"):
        if name not in line:
            raise missing(f"{prefix}[{name}]")
    return {
        "amount": line["quantity"] * line["unit_amount"],
        "description": line["description"],
        "invoice_line_item": None,
        "quantity": line["quantity"],
        "unit_amount": line["unit_amount"],
    }


def _taken_back(
    transaction: Transaction,
    invoice: dict[str, Any],
    line: dict[str, Any],
    prefix: str,
    beside: list[dict[str, Any]],
) -> dict[str, Any]:
    for name in ("amount", "invoice_line_item"):
        if name not in line:
            raise missing(f"{prefix}[{name}]")
    line_id = line["invoice_line_item"]
    of_invoice = transaction.get("line_item", line_id)
    if of_invoice is None or of_invoice["invoice"] != invoice["id"]:
        raise no_such("line item", line_id, f"{prefix}[invoice_line_item]", status=400)
    earlier = [
        note_line
        for note in transaction.scan("credit_note", invoice["id"], newest_first=False)
        if note["status"] == "issued"
        for note_line in transaction.scan("credit_note_line_item", note["id"], newest_first=False)
    ]
    credited = sum(each["amount"] for each in [*earlier, *beside] if each["invoice_line_item"] == line_id)
    if line["amount"] > of_invoice["amount"] - credited:
        raise ApiError(
            f"The amount is more than is left of the line ({of_invoice['amount'] - credited}).",
            param=f"{prefix}[amount]",
        )
    return {
        "amount": line["amount"],
        "description": line.get("description", of_invoice["description"]),
        "invoice_line_item": line_id,
        "quantity": 1,
        "unit_amount": line["amount"],
    }


def list_credit_note_lines(call: Call) -> dict[str, Any]:
    """The lines of a credit note, oldest first."""
    if call.transaction.get("credit_note", call.object_id) is None:
        raise no_such("credit note", call.object_id, "credit_note")
    lines = call.transaction.scan("credit_note_line_item", call.object_id, newest_first=False)
    return page(lines, call.parameters, f"/v1/credit_notes/{call.object_id}/lines")
