"""Credit notes: what is taken back of a finalized invoice."""

from typing import Any

from billing_pipeline.invoicing.simulator.api_error import ApiError, no_such
from billing_pipeline.invoicing.simulator.call import Call, endpoint
from billing_pipeline.invoicing.simulator.credit_note_lines import credited_lines, list_credit_note_lines
from billing_pipeline.invoicing.simulator.customers import find_customer
from billing_pipeline.invoicing.simulator.draft_lines import find_invoice
from billing_pipeline.invoicing.simulator.listing import created_within, page
from billing_pipeline.invoicing.simulator.metadata import merged
from billing_pipeline.invoicing.simulator.store import Transaction

_WAYS_BACK = ("credit_amount", "refund_amount", "out_of_band_amount")
KIND = "credit_note"


def create_credit_note(call: Call) -> dict[str, Any]:
    """Credit an open or paid invoice: what remains to be paid is lowered first, what was paid goes back.

    Raises:
        ApiError: no such invoice, more than it came to, or amounts that do not add up.
    """
    parameters = call.parameters
    invoice = find_invoice(call.transaction, parameters["invoice"], param="invoice", status=400)
    if invoice["status"] not in {"open", "paid"}:
        raise ApiError(
            f"Credit notes are for open or paid invoices; this one is {invoice['status']}.", param="invoice"
        )
    lines = credited_lines(call.transaction, invoice, parameters.get("lines") or [])
    total = _total(parameters, lines)
    before = _credited(invoice)
    if total > invoice["total"] - before:
        raise ApiError(
            f"The credit note amount ({total}) is more than is left of the invoice ({invoice['total'] - before}).",
            param="amount",
        )
    from_due = min(total, invoice["amount_remaining"]) if invoice["status"] == "open" else 0
    _check_ways_back(call.transaction, invoice, parameters, total - from_due)
    credit_note = _insert(call, invoice, total, from_due, lines)
    _book(call, invoice, total, from_due)
    return _with_lines(call.transaction, credit_note)


def _total(parameters: dict[str, Any], lines: list[dict[str, Any]]) -> int:
    if "amount" not in parameters and not lines:
        raise ApiError("One of amount and lines must be provided.", param="amount")
    total: int = parameters["amount"] if not lines else sum(line["amount"] for line in lines)
    if parameters.get("amount", total) != total:
        raise ApiError(f"The lines come to {total}, not to the amount given.", param="amount")
    if total <= 0:
        raise ApiError("The credit note amount must be positive.", param="amount")
    return total


def _check_ways_back(
    transaction: Transaction, invoice: dict[str, Any], parameters: dict[str, Any], paid_back: int
) -> None:
    given = sum(parameters.get(name, 0) for name in _WAYS_BACK)
    if given != paid_back or any(parameters.get(name, 0) < 0 for name in _WAYS_BACK):
        raise ApiError(
            f"The sum of {', '.join(_WAYS_BACK)} ({given}) must equal the post-payment amount ({paid_back}).",
            param="credit_amount",
        )
    refunded = sum(note["refund_amount"] for note in _notes_of(transaction, invoice["id"]))
    if parameters.get("refund_amount", 0) > invoice["amount_paid"] - refunded:
        raise ApiError("The refund is more than is left of what was paid.", param="refund_amount")


def _insert(
    call: Call, invoice: dict[str, Any], total: int, from_due: int, lines: list[dict[str, Any]]
) -> dict[str, Any]:
    parameters = call.parameters
    number = call.transaction.count(KIND, invoice["id"]) + 1
    to_balance = parameters.get("credit_amount", 0)
    transaction_id = f"cbtxn_sim{call.transaction.next_number('cbtxn'):011d}" if to_balance else None
    credit_note = call.transaction.insert(
        KIND,
        "cn",
        {
            "amount": total,
            "created": call.now,
            "currency": invoice["currency"],
            "customer": invoice["customer"],
            "customer_balance_transaction": transaction_id,
            "invoice": invoice["id"],
            "livemode": False,
            "memo": parameters.get("memo"),
            "metadata": merged({}, parameters.get("metadata")),
            "number": f"{invoice['number']}-CN-{number:02d}",
            "out_of_band_amount": parameters.get("out_of_band_amount"),
            "post_payment_amount": total - from_due,
            "pre_payment_amount": from_due,
            "reason": parameters.get("reason"),
            "refund_amount": parameters.get("refund_amount", 0),
            "status": "issued",
            "subtotal": total,
            "total": total,
            "type": "post_payment" if total > from_due else "pre_payment",
            "voided_at": None,
        },
        parent=invoice["id"],
    )
    for line in lines:
        call.transaction.insert("credit_note_line_item", "cnli", line, parent=credit_note["id"])
    return credit_note


def _book(call: Call, invoice: dict[str, Any], total: int, from_due: int) -> None:
    invoice["amount_due"] -= from_due
    invoice["amount_remaining"] -= from_due
    invoice["pre_payment_credit_notes_amount"] += from_due
    invoice["post_payment_credit_notes_amount"] += total - from_due
    if invoice["status"] == "open" and invoice["amount_remaining"] == 0:
        invoice["status"] = "paid"
        invoice["status_transitions"]["paid_at"] = call.now
    call.transaction.put(invoice)
    to_balance = call.parameters.get("credit_amount", 0)
    if to_balance:
        customer = find_customer(call.transaction, invoice["customer"])
        call.transaction.put({**customer, "balance": customer["balance"] - to_balance})


def retrieve_credit_note(call: Call) -> dict[str, Any]:
    """The credit note."""
    return _with_lines(call.transaction, _find(call))


def update_credit_note(call: Call) -> dict[str, Any]:
    """Change memo or metadata."""
    credit_note = _find(call)
    if "memo" in call.parameters:
        credit_note["memo"] = call.parameters["memo"] or None
    credit_note["metadata"] = merged(credit_note["metadata"], call.parameters.get("metadata"))
    call.transaction.put(credit_note)
    return _with_lines(call.transaction, credit_note)


def void_credit_note(call: Call) -> dict[str, Any]:
    """Void a credit note of an invoice that is still open: the amount is due again.

    Raises:
        ApiError: it is void already, or the invoice is paid.
    """
    credit_note = _find(call)
    invoice = find_invoice(call.transaction, credit_note["invoice"], param="invoice", status=400)
    if credit_note["status"] != "issued" or credit_note["post_payment_amount"] or invoice["status"] != "open":
        raise ApiError("Only issued credit notes of open invoices can be voided.", param="id")
    back = credit_note["pre_payment_amount"]
    invoice["amount_due"] += back
    invoice["amount_remaining"] += back
    invoice["pre_payment_credit_notes_amount"] -= back
    call.transaction.put(invoice)
    credit_note.update(status="void", voided_at=call.now)
    call.transaction.put(credit_note)
    return _with_lines(call.transaction, credit_note)


def list_credit_notes(call: Call) -> dict[str, Any]:
    """Credit notes, newest first."""
    parameters = call.parameters
    notes = (
        _with_lines(call.transaction, note)
        for note in call.transaction.scan(KIND, parameters.get("invoice"), newest_first=True)
        if parameters.get("customer") in {None, note["customer"]}
        and created_within(note, parameters.get("created"))
    )
    return page(notes, parameters, "/v1/credit_notes")


def _find(call: Call) -> dict[str, Any]:
    credit_note = call.transaction.get(KIND, call.object_id)
    if credit_note is None:
        raise no_such("credit note", call.object_id, "id")
    return credit_note


def _notes_of(transaction: Transaction, invoice_id: str) -> list[dict[str, Any]]:
    return list(transaction.scan(KIND, invoice_id, newest_first=False))


def _credited(invoice: dict[str, Any]) -> int:
    return int(invoice["pre_payment_credit_notes_amount"] + invoice["post_payment_credit_notes_amount"])


def _with_lines(transaction: Transaction, credit_note: dict[str, Any]) -> dict[str, Any]:
    refund = credit_note["refund_amount"]
    lines = transaction.scan("credit_note_line_item", credit_note["id"], newest_first=False)
    return {
        **{name: value for name, value in credit_note.items() if name != "refund_amount"},
        "refunds": [{"amount_refunded": refund, "type": "refund"}] if refund else [],
        "lines": page(lines, {}, f"/v1/credit_notes/{credit_note['id']}/lines"),
    }


ENDPOINTS = (
    endpoint(
        "POST",
        "/v1/credit_notes",
        "CreditNoteCreateParams",
        "amount credit_amount invoice lines memo metadata out_of_band_amount reason refund_amount",
        create_credit_note,
    ),
    endpoint(
        "GET",
        "/v1/credit_notes",
        "CreditNoteListParams",
        "created customer ending_before invoice limit starting_after",
        list_credit_notes,
    ),
    endpoint("GET", "/v1/credit_notes/{id}", "CreditNoteRetrieveParams", "", retrieve_credit_note),
    endpoint("POST", "/v1/credit_notes/{id}", "CreditNoteUpdateParams", "memo metadata", update_credit_note),
    endpoint("POST", "/v1/credit_notes/{id}/void", "CreditNoteVoidCreditNoteParams", "", void_credit_note),
    endpoint(
        "GET",
        "/v1/credit_notes/{id}/lines",
        "CreditNoteLineItemListParams",
        "ending_before limit starting_after",
        list_credit_note_lines,
    ),
)
