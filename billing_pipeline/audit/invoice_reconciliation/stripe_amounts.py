"""Invoice lines against Stripe: each line of an invoice in exactly one place, and what Stripe holds there. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NamedTuple

from billing_pipeline.audit.invoice_reconciliation.comparison import Compared, EndedPeriod, listed
from billing_pipeline.audit.invoice_reconciliation.delivered import FINAL, Credited, Delivered, Pushed
from billing_pipeline.audit.invoice_reconciliation.stripe_books import CustomerBooks
from billing_pipeline.invoicing.push.plan import differences
from billing_pipeline.invoicing.stripe.amounts import from_stripe_amount
from billing_pipeline.invoicing.stripe.port import PUSH, StripeCreditNote, StripeInvoice

COMPARISON = "lines_stripe"
_OVER = frozenset({"void", "draft", "deleted"})


class BilledLine(NamedTuple):
    """A line of the lake, as much of it as decides where it goes."""

    line_id: str
    amount_minor: int
    kind: str
    component: str
    plan: str
    usage_period: date


@dataclass(frozen=True)
class LinesInvoice:
    """All lines of a customer's invoice period in one currency.

    Attributes:
        is_zero_by_policy: its plans do not send an invoice of zero.
        held: why it waits, "" where it does not.
        faults: why Stripe cannot take it.
    """

    period: EndedPeriod
    currency: str
    lines: Sequence[BilledLine]
    is_zero_by_policy: bool = False
    held: str = ""
    faults: Sequence[str] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """As the outbox has it."""
        return self.period.customer_id, self.period.start.isoformat(), self.currency

    def row(
        self,
        expected: Decimal | int,
        found: Decimal | int,
        cause: str = "",
        *,
        reference: str = "",
        detail: str = "",
    ) -> Compared:
        """A row of it, in minor units."""
        return Compared(
            self.period,
            COMPARISON,
            Decimal(expected),
            Decimal(found),
            cause,
            currency=self.currency,
            reference=reference,
            detail=detail,
        )


def stripe_amounts(invoice: LinesInvoice, known: Delivered, books: CustomerBooks) -> Iterator[Compared]:
    """One row for the invoice, one for each credit note, one for what is metered; and what people did in Stripe."""
    notes = known.credit_notes.get(invoice.key, ())
    credited = {line_id for note in notes for line_id in note.line_ids}
    metered = [line for line in invoice.lines if _is_metered(line, invoice, known)]
    metered_ids = {line.line_id for line in metered}
    rest = [line for line in invoice.lines if line.line_id not in credited | metered_ids]
    for note in notes:
        yield _credit_note(invoice, note, books)
    if metered:
        total = sum(line.amount_minor for line in metered)
        yield invoice.row(total, total, "metered", detail=f"{len(metered)} lines")
    pushed = known.pushes.get(invoice.key)
    if rest or (pushed is not None and pushed.state in FINAL):
        yield from _invoice(invoice, rest, pushed, known, books)
    elif not notes and not metered and not invoice.lines:
        return


def foreign_invoices(period: EndedPeriod, known: Delivered, books: CustomerBooks) -> Iterator[Compared]:
    """Invoices of the customer that were made in Stripe within the period, and not here."""
    for found in books.invoices.values():
        made_on = datetime.fromtimestamp(found.created, UTC).date()
        is_ours = found.invoice_id in known.invoice_ids or PUSH in found.metadata
        if is_ours or found.status in _OVER or not period.start <= made_on <= period.end:
            continue
        amount = from_stripe_amount(found.total, found.currency)
        yield Compared(
            period,
            COMPARISON,
            Decimal(),
            amount,
            "foreign_invoice",
            currency=found.currency,
            reference=found.invoice_id,
            detail=f"{found.status}, made on {made_on}",
        )


def _is_metered(line: BilledLine, invoice: LinesInvoice, known: Delivered) -> bool:
    customer_id, start, _ = invoice.key
    return (
        line.kind == "usage"
        and line.component == "usage"
        and line.usage_period == invoice.period.start
        and (customer_id, line.plan, start) in known.metered
    )


def _credit_note(invoice: LinesInvoice, note: Credited, books: CustomerBooks) -> Compared:
    lines = [line for line in invoice.lines if line.line_id in note.line_ids]
    expected = sum(line.amount_minor for line in lines)
    reference = note.credit_note_id or note.invoice_id
    detail = f"corrects {note.corrects}, {_amounts(lines)}"
    if note.state == "refused":
        return invoice.row(expected, 0, "refused", reference=reference, detail=f"{note.detail}; {detail}")
    if note.state not in FINAL:
        return invoice.row(expected, 0, "not_pushed", reference=reference, detail=detail)
    there = {each.credit_note_id: each for each in books.credit_notes.get(note.invoice_id, ())}
    found = there.get(note.credit_note_id or "")
    if found is None:
        return invoice.row(expected, 0, "deleted_in_stripe", reference=reference, detail=detail)
    if found.status == "void":
        return invoice.row(expected, 0, "voided_in_stripe", reference=reference, detail=detail)
    amount = -from_stripe_amount(found.total, invoice.currency)
    return invoice.row(
        expected,
        amount,
        "credit_note" if amount == expected else "edited_in_stripe",
        reference=reference,
        detail=detail,
    )


def _invoice(
    invoice: LinesInvoice,
    lines: Sequence[BilledLine],
    pushed: Pushed | None,
    known: Delivered,
    books: CustomerBooks,
) -> Iterator[Compared]:
    expected = sum(line.amount_minor for line in lines)
    if pushed is None or pushed.state not in FINAL:
        yield _not_final(invoice, expected, lines, pushed)
        return
    invoice_id = pushed.invoice_id or ""
    found = books.invoices.get(invoice_id)
    yield _final(invoice, lines, pushed, found, books)
    yield from _by_hand(invoice, invoice_id, books.credit_notes.get(invoice_id, ()), known)
    for other in books.invoices.values():
        if other.metadata.get(PUSH, "").rpartition("/")[0] == pushed.plan.push.rpartition("/")[0] and (
            other.invoice_id != invoice_id and other.status not in _OVER
        ):
            yield invoice.row(
                0,
                from_stripe_amount(other.total, other.currency),
                "duplicate_in_stripe",
                reference=other.invoice_id,
                detail=f"ours is {invoice_id}",
            )


def _not_final(
    invoice: LinesInvoice, expected: int, lines: Sequence[BilledLine], pushed: Pushed | None
) -> Compared:
    told = _amounts(lines)
    if pushed is not None and pushed.state == "superseded":
        told, pushed = f"{pushed.detail}; {told}", None
    reference = (pushed.invoice_id or "") if pushed else ""
    kind, message = pushed.failure if pushed else ("", "")
    cause, detail = "draft" if reference else "not_pushed", told
    if expected == 0 and invoice.is_zero_by_policy:
        cause = "zero_invoice"
    elif invoice.faults:
        cause, detail = "refused", listed(list(invoice.faults))
    elif invoice.held and (pushed is None or pushed.state == "verified"):
        cause, detail = "held", invoice.held
    elif kind:
        cause, detail = "refused" if kind == "refused" else "failed", f"{message}; {told}"
    return invoice.row(expected, 0, cause, reference=reference, detail=detail)


def _final(
    invoice: LinesInvoice,
    lines: Sequence[BilledLine],
    pushed: Pushed,
    found: StripeInvoice | None,
    books: CustomerBooks,
) -> Compared:
    expected = sum(line.amount_minor for line in lines)
    reference = pushed.invoice_id or ""
    if found is None or found.status == "deleted":
        return invoice.row(expected, 0, "deleted_in_stripe", reference=reference, detail=_amounts(lines))
    if found.status == "void":
        return invoice.row(expected, 0, "voided_in_stripe", reference=reference, detail=_amounts(lines))
    total = from_stripe_amount(found.total, found.currency)
    faults = differences(pushed.plan, found, books.lines.get(reference, ()))
    if faults:
        return invoice.row(expected, total, "edited_in_stripe", reference=reference, detail=listed(faults))
    if found.status == "draft":
        return invoice.row(expected, 0, "draft", reference=reference, detail=_amounts(lines))
    changed = _changed_since(lines, pushed, invoice.currency)
    if changed:
        return invoice.row(expected, total, "unexplained", reference=reference, detail=listed(changed))
    cause = "uncollectible" if found.status == "uncollectible" else ""
    return invoice.row(expected, total, cause, reference=reference, detail=found.status)


def _changed_since(lines: Iterable[BilledLine], pushed: Pushed, currency: str) -> list[str]:
    """Which lines of the lake are not those that were sent."""
    sent = {line_id: from_stripe_amount(each, currency) for line_id, each in pushed.amounts.items()}
    now = {line.line_id: Decimal(line.amount_minor) for line in lines}
    return [
        f"line {line_id} was sent with {sent.get(line_id, 'nothing')}, invoice_lines has {now.get(line_id, 'nothing')}"
        for line_id in sorted(sent.keys() | now.keys())
        if sent.get(line_id) != now.get(line_id)
    ]


def _by_hand(
    invoice: LinesInvoice, invoice_id: str, notes: Iterable[StripeCreditNote], known: Delivered
) -> Iterator[Compared]:
    for note in notes:
        if note.credit_note_id in known.credit_note_ids or note.status == "void":
            continue
        yield invoice.row(
            0,
            -from_stripe_amount(note.total, invoice.currency),
            "credit_note_by_hand",
            reference=note.credit_note_id,
            detail=f"on {invoice_id}",
        )


def _amounts(lines: Sequence[BilledLine]) -> str:
    return f"lines {listed([f'{line.line_id} ({line.amount_minor})' for line in lines])}"
