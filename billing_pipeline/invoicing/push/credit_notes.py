"""The push of credit notes: each planned one is issued in Stripe once, however often run.

planned -> sending -> issued -> reconciled. `sending` is written before the one request, whose key and parameters stand
in the outbox: from then on the lines belong to this credit note. `refused` is tried again by every run, for a person
may have mended the invoice; its lines never go on an invoice too. What changed before it was sent ends superseded.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from sqlalchemy import Engine

from billing_pipeline.control.clock import now_us
from billing_pipeline.errors import StripeDifferenceError, StripeError, StripeRefusedError
from billing_pipeline.invoicing.push.credit_note_outbox import CreditNoteOutbox, NoteProgress, NoteState
from billing_pipeline.invoicing.push.credit_note_steps import CreditNoteSteps
from billing_pipeline.invoicing.push.delivery import PlannedCreditNote
from billing_pipeline.invoicing.push.outbox import Outbox
from billing_pipeline.invoicing.push.planned import invoice_faults
from billing_pipeline.invoicing.push.sending import Sender
from billing_pipeline.invoicing.stripe.port import StripePort

_MAX_STEPS = 20
"""Far more than a credit note has: a bound on what another process could make us repeat."""


@dataclass(frozen=True, kw_only=True)
class CreditNoteResult:
    """What became of one credit note.

    `state` is `issued`, `skipped` (it has no lines any more), `refused` (a person must decide, `message` says what) or
    `failed` (run again). `requests_sent` counts the requests that change something; it is 0 where it was issued before.
    """

    customer_id: str
    billing_period: date
    corrects: date
    currency: str
    state: Literal["issued", "skipped", "refused", "failed"]
    total_minor: int
    stripe_invoice_id: str
    stripe_credit_note_id: str | None = None
    requests_sent: int = 0
    message: str = ""


def push_credit_notes(
    engine: Engine,
    gateway: StripePort,
    notes: Sequence[PlannedCreditNote],
    progress: Callable[[CreditNoteResult], None] | None = None,
    *,
    workers: int = 1,
    clock: Callable[[], int] = now_us,
    sleep: Callable[[float], None] = time.sleep,
) -> list[CreditNoteResult]:
    """Issue credit notes, each on its own: what happens to one does not stop the others.

    Push them before the invoices of the same periods: then every line that is credited stands in the outbox before an
    invoice without it is final.

    Args:
        engine: the control database (`control.database.open_control`).
        gateway: Stripe or the simulator.
        notes: of `plan_delivery`, also those without lines.
        progress: called with each result, in the given order, by the calling thread.
        workers: threads; the credit notes of one customer stay in one.
        clock: UTC µs.
        sleep: waits so many seconds before a request is tried again.

    Returns:
        One result per credit note, in the given order.

    Raises:
        StripeError: the account cannot be read, so nothing was tried.
    """
    if not notes:
        return []
    account = Sender(Outbox(engine, "", clock), clock, sleep).read(gateway.account)
    requests, outbox = Outbox(engine, account, clock), CreditNoteOutbox(engine, account, clock)

    def push(note: PlannedCreditNote) -> CreditNoteResult:
        sender = Sender(requests, clock, sleep)
        result = _push(outbox, CreditNoteSteps(gateway, outbox, sender), note)
        return replace(result, requests_sent=sender.sent)

    by_customer: dict[str, list[int]] = {}
    for index, note in enumerate(notes):
        by_customer.setdefault(note.customer_id, []).append(index)

    def of_customer(indexes: Iterable[int]) -> list[tuple[int, CreditNoteResult]]:
        return [(index, push(notes[index])) for index in indexes]

    with ThreadPoolExecutor(workers, "stripe-credit-notes") as pool:
        answers = (
            pool.map(of_customer, by_customer.values())
            if workers > 1
            else map(of_customer, by_customer.values())
        )
        found = {index: result for answer in answers for index, result in answer}
    results = [found[index] for index in range(len(notes))]
    for result in results:
        if progress is not None:
            progress(result)
    return results


def _push(outbox: CreditNoteOutbox, steps: CreditNoteSteps, note: PlannedCreditNote) -> CreditNoteResult:
    result = CreditNoteResult(
        customer_id=note.customer_id,
        billing_period=note.billing_period,
        corrects=note.corrects,
        currency=note.currency,
        state="failed",
        total_minor=note.total_minor,
        stripe_invoice_id=note.stripe_invoice_id,
    )
    faults = invoice_faults(note.as_invoice)
    if faults:
        return replace(result, state="refused", message="; ".join(faults))
    try:
        done = _until_done(outbox, steps, note)
    except (StripeDifferenceError, StripeRefusedError) as error:
        return replace(result, state="refused", message=str(error))
    except StripeError as error:
        return replace(result, message=f"{error}; run the push again")
    if done is None:
        return replace(result, state="skipped", message="no lines, so there is nothing to credit")
    return replace(result, state="issued", stripe_credit_note_id=done.stripe_credit_note_id)


def _until_done(
    outbox: CreditNoteOutbox, steps: CreditNoteSteps, note: PlannedCreditNote
) -> NoteProgress | None:
    """The last transition, reconciled; None where there is nothing to credit."""
    for _ in range(_MAX_STEPS):
        push = outbox.latest(note)
        progress = outbox.progress(push) if push else None
        if push is None or progress is None or progress.state is NoteState.SUPERSEDED:
            if not note.lines:
                return None
            steps.plan(note, push.revision + 1 if push else 1)
        elif push.lines_hash != note.lines_hash():
            steps.withdraw(push, progress)
        elif progress.state is NoteState.RECONCILED:
            return progress
        else:
            steps.advance(note, push, progress)
    raise StripeError(
        "credit", f"{note.customer_id} {note.billing_period}: another process keeps changing it"
    )
