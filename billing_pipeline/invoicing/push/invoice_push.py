"""The push: every planned invoice becomes exactly one right, finalized invoice in Stripe, however often run.

planned -> draft -> lines_added -> verified -> finalized; a revision whose draft was deleted ends superseded.
Each step sends requests whose keys and parameters stand in the outbox, then writes the transition. A run that
was killed goes on where the outbox says: the same request with the same key is applied once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from sqlalchemy import Engine

from billing_pipeline.control.clock import now_us
from billing_pipeline.errors import StripeDifferenceError, StripeError, StripeGoneError
from billing_pipeline.invoicing.push.outbox import Outbox, Progress, Push, State
from billing_pipeline.invoicing.push.planned import PlannedInvoice, invoice_faults
from billing_pipeline.invoicing.push.sending import Sender
from billing_pipeline.invoicing.push.steps import BOOK_THE_DIFFERENCE, Steps
from billing_pipeline.invoicing.stripe.port import StripePort

_MAX_STEPS = 30
"""Far more than a push has: a bound on what another process could make us repeat."""


@dataclass(frozen=True, kw_only=True)
class PushResult:
    """What became of one invoice.

    `state` is `finalized`, `skipped` (no lines), `refused` (a person must decide, `message` says what) or
    `failed` (run again). `requests_sent` counts the requests that change something; it is 0 where the invoice
    was finalized before.
    """

    customer_id: str
    billing_period: date
    currency: str
    state: Literal["finalized", "skipped", "refused", "failed"]
    total_minor: int
    stripe_invoice_id: str | None = None
    requests_sent: int = 0
    message: str = ""


def push_invoices(
    engine: Engine,
    gateway: StripePort,
    invoices: Sequence[PlannedInvoice],
    progress: Callable[[PushResult], None] | None = None,
    *,
    clock: Callable[[], int] = now_us,
) -> list[PushResult]:
    """Push invoices, each on its own: what happens to one customer's does not stop the others.

    Args:
        engine: the control database (`control.database.open_control`).
        gateway: Stripe or the simulator.
        invoices: at most one per customer, period and currency.
        progress: called with each result as it comes.
        clock: UTC µs.

    Returns:
        One result per invoice, in the given order.

    Raises:
        StripeError: the account cannot be read, so nothing was tried.
    """
    if not invoices:
        return []
    outbox = Outbox(engine, gateway.account(), clock)
    sender = Sender(outbox, clock)
    steps = Steps(gateway, outbox, sender)
    results = []
    for invoice in invoices:
        before = sender.sent
        result = replace(_push(outbox, steps, invoice), requests_sent=sender.sent - before)
        results.append(result)
        if progress is not None:
            progress(result)
    return results


def _push(outbox: Outbox, steps: Steps, invoice: PlannedInvoice) -> PushResult:
    result = PushResult(
        customer_id=invoice.customer_id,
        billing_period=invoice.billing_period,
        currency=invoice.currency,
        state="failed",
        total_minor=invoice.total_minor,
    )
    faults = invoice_faults(invoice)
    if faults:
        return replace(result, state="refused", message="; ".join(faults))
    try:
        if not invoice.lines:
            _withdraw_what_is_not_due(outbox, steps, invoice)
            return replace(result, state="skipped", message="no lines, so there is nothing to invoice")
        done = _until_finalized(outbox, steps, invoice)
    except StripeDifferenceError as error:
        return replace(result, state="refused", message=str(error))
    except StripeError as error:
        return replace(result, message=f"{error}; run the push again")
    return replace(result, state="finalized", stripe_invoice_id=done.stripe_invoice_id, message=done.detail)


def _until_finalized(outbox: Outbox, steps: Steps, invoice: PlannedInvoice) -> Progress:
    for _ in range(_MAX_STEPS):
        push = outbox.latest_push(invoice)
        if push is None:
            outbox.plan(invoice, 1)
            continue
        progress = outbox.progress(push)
        if progress.state is State.SUPERSEDED:
            outbox.plan(invoice, push.revision + 1)
        elif push.lines_hash != invoice.lines_hash():
            _withdraw(steps, push, progress)
        elif progress.state is State.FINALIZED:
            return progress
        else:
            try:
                steps.advance(push, progress)
            except StripeGoneError as error:
                outbox.move(push, progress, State.SUPERSEDED, progress.stripe_invoice_id, str(error))
    raise StripeError(
        "push", f"{invoice.customer_id} {invoice.billing_period}: another process keeps changing it"
    )


def _withdraw_what_is_not_due(outbox: Outbox, steps: Steps, invoice: PlannedInvoice) -> None:
    push = outbox.latest_push(invoice)
    if push is not None:
        progress = outbox.progress(push)
        if progress.state is not State.SUPERSEDED:
            _withdraw(steps, push, progress)


def _withdraw(steps: Steps, push: Push, progress: Progress) -> None:
    if progress.state is State.FINALIZED:
        raise StripeDifferenceError(
            push.subject,
            [f"{progress.stripe_invoice_id} is finalized with other lines than are now due"],
            BOOK_THE_DIFFERENCE,
        )
    steps.withdraw(push, progress)
