"""The steps of one credit note: what each asks of Stripe, and the transition it writes."""

from typing import Any

from billing_pipeline.errors import StripeDifferenceError, StripeRefusedError
from billing_pipeline.invoicing.push.credit_note_outbox import (
    CreditNoteOutbox,
    CreditNotePush,
    NoteProgress,
    NoteState,
)
from billing_pipeline.invoicing.push.credit_note_plan import (
    credit_note_parameters,
    note_differences,
    why_not_credited,
)
from billing_pipeline.invoicing.push.delivery import PlannedCreditNote
from billing_pipeline.invoicing.push.outbox import SentRequest
from billing_pipeline.invoicing.push.sending import Sender
from billing_pipeline.invoicing.stripe.port import (
    PUSH,
    Parameters,
    StripeCreditNote,
    StripeInvoice,
    StripePort,
)

CREATE_CREDIT_NOTE = "create_credit_note"
SETTLE_BY_HAND = (
    "Nothing was credited, and these lines go on no other invoice: settle them with the customer by hand (a refund, or "
    "their balance in Stripe), or mend the invoice in Stripe and push again."
)
BOOK_THE_DIFFERENCE = "No second credit note is made: settle the difference with the customer by hand."


class CreditNoteSteps:
    """The steps over one outbox and one gateway. Each may be repeated, by any process, after any crash."""

    def __init__(self, port: StripePort, outbox: CreditNoteOutbox, sender: Sender) -> None:
        self._port = port
        self._outbox = outbox
        self._sender = sender

    def plan(self, note: PlannedCreditNote, revision: int) -> None:
        """Write the revision down, by what is left to be paid of its invoice now."""
        self._outbox.plan(note, revision, self._parameters(note, revision, self._invoice(note)))

    def advance(self, note: PlannedCreditNote, push: CreditNotePush, progress: NoteProgress) -> None:
        """Take the next step from `progress`.

        Raises:
            StripeDifferenceError: what stands in Stripe is not what was sent.
            StripeRefusedError: nothing can be credited; it is on record.
            StripeError: Stripe failed or is not reachable.
        """
        if progress.state in {NoteState.PLANNED, NoteState.REFUSED}:
            self._prepare(note, push, progress)
        elif progress.state is NoteState.SENDING:
            self._send(push, progress)
        else:
            self._verify(push, progress)

    def withdraw(self, push: CreditNotePush, progress: NoteProgress) -> None:
        """End a revision whose lines are no longer due, so that the next one can be made.

        Raises:
            StripeDifferenceError: it has been issued; there is nothing to take back.
        """
        if progress.state in {NoteState.PLANNED, NoteState.REFUSED}:
            self._outbox.move(push, progress, NoteState.SUPERSEDED, detail="nothing was issued")
            return
        if progress.state is NoteState.SENDING:
            # Only the same request under the same key tells for sure what became of it.
            self._send(push, progress)
            progress = self._outbox.progress(push)
        raise StripeDifferenceError(
            push.subject,
            [f"{progress.stripe_credit_note_id} is issued with other lines than are now due"],
            BOOK_THE_DIFFERENCE,
        )

    def _prepare(self, note: PlannedCreditNote, push: CreditNotePush, progress: NoteProgress) -> None:
        """On to sending, where the invoice takes it; to the next revision, where more of it is paid by now."""
        invoice = self._invoice(note)
        current = self._parameters(note, push.revision, invoice)
        credited = sum(line["unit_amount"] for line in current["lines"])
        fault = why_not_credited(note.stripe_invoice_id, invoice, credited)
        if fault:
            self._refuse(push, progress, fault)
            raise StripeRefusedError("credit", f"{fault}. {SETTLE_BY_HAND}")
        if current != push.parameters:
            self._outbox.move(
                push, progress, NoteState.SUPERSEDED, detail="the invoice was paid in the meantime"
            )
        else:
            self._outbox.move(push, progress, NoteState.SENDING)

    def _send(self, push: CreditNotePush, progress: NoteProgress) -> None:
        def call(sent: Parameters, key: str) -> StripeCreditNote:
            return self._port.create_credit_note(sent, key)

        def look_up(_request: SentRequest) -> StripeCreditNote | None:
            found = self._find(push)
            if len(found) > 1:
                names = ", ".join(note.credit_note_id for note in found)
                raise StripeDifferenceError(
                    push.subject, [f"{names} all carry this push"], "Void all but one in Stripe."
                )
            return found[0] if found else None

        try:
            issued = self._sender.send(CREATE_CREDIT_NOTE, push.subject, push.parameters, call, look_up)
        except StripeRefusedError as error:
            self._refuse(push, progress, str(error))
            raise StripeRefusedError("credit", f"{error}. {SETTLE_BY_HAND}", error.status) from error
        self._outbox.move(push, progress, NoteState.ISSUED, issued.credit_note_id)

    def _verify(self, push: CreditNotePush, progress: NoteProgress) -> None:
        found = [note for note in self._find(push) if note.credit_note_id == progress.stripe_credit_note_id]
        if not found:
            faults = [f"{progress.stripe_credit_note_id} is not in Stripe"]
        else:
            lines = self._sender.read(lambda: self._port.credit_note_lines(found[0].credit_note_id))
            faults = note_differences(push.parameters, found[0], lines)
        if faults:
            raise StripeDifferenceError(push.subject, faults, BOOK_THE_DIFFERENCE)
        self._outbox.move(push, progress, NoteState.RECONCILED, progress.stripe_credit_note_id)

    def _refuse(self, push: CreditNotePush, progress: NoteProgress, why: str) -> None:
        if (progress.state, progress.detail) != (NoteState.REFUSED, why):
            self._outbox.move(push, progress, NoteState.REFUSED, detail=why)

    def _find(self, push: CreditNotePush) -> list[StripeCreditNote]:
        invoice_id = str(push.parameters["invoice"])
        notes = self._sender.read(lambda: self._port.credit_notes(invoice_id))
        return [note for note in notes if note.metadata.get(PUSH) == push.subject]

    def _invoice(self, note: PlannedCreditNote) -> StripeInvoice | None:
        return self._sender.read(lambda: self._port.retrieve_invoice(note.stripe_invoice_id))

    def _parameters(
        self, note: PlannedCreditNote, revision: int, invoice: StripeInvoice | None
    ) -> dict[str, Any]:
        return credit_note_parameters(note, revision, invoice.amount_remaining if invoice else 0)
