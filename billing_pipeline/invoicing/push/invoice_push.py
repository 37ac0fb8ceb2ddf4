"""The push: every planned invoice becomes exactly one right, finalized invoice in Stripe, however often run.

planned -> draft -> lines_added -> verified -> finalized -> reconciled; a revision whose draft was deleted ends
superseded.
Each step sends requests whose keys and parameters stand in the outbox, then writes the transition. A run that
was killed goes on where the outbox says: the same request with the same key is applied once.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
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

    `state` is `finalized`, `skipped` (no lines, or zero by policy), `held` (a verified draft that waits for somebody,
    `message` says for what), `refused` (a person must decide) or `failed` (run again). `requests_sent` counts the
    requests that change something; it is 0 where the invoice was finalized before.
    """

    customer_id: str
    billing_period: date
    currency: str
    state: Literal["finalized", "skipped", "held", "refused", "failed"]
    total_minor: int
    stripe_invoice_id: str | None = None
    requests_sent: int = 0
    message: str = ""


def _no(_invoice: PlannedInvoice) -> str:
    return ""


@dataclass(frozen=True, kw_only=True)
class PushRules:
    """What keeps an invoice from being finalized, in words; "" where nothing does.

    Attributes:
        hold: why it waits as a verified draft.
        skip: why it is not sent at all; a draft that there is, is deleted.
    """

    hold: Callable[[PlannedInvoice], str] = _no
    skip: Callable[[PlannedInvoice], str] = _no


@dataclass(frozen=True)
class _Push:
    """What all threads of a push share."""

    outbox: Outbox
    port: StripePort
    rules: PushRules
    clock: Callable[[], int]
    sleep: Callable[[float], None]

    def push(self, invoice: PlannedInvoice) -> PushResult:
        sender = Sender(self.outbox, self.clock, self.sleep)
        steps = Steps(self.port, self.outbox, sender)
        return replace(_push(self, steps, invoice), requests_sent=sender.sent)


def push_invoices(
    engine: Engine,
    gateway: StripePort,
    invoices: Sequence[PlannedInvoice],
    progress: Callable[[PushResult], None] | None = None,
    *,
    rules: PushRules = PushRules(),
    workers: int = 1,
    clock: Callable[[], int] = now_us,
    sleep: Callable[[float], None] = time.sleep,
) -> list[PushResult]:
    """Push invoices, each on its own: what happens to one customer's does not stop the others.

    Args:
        engine: the control database (`control.database.open_control`).
        gateway: Stripe or the simulator.
        invoices: at most one per customer, period and currency.
        progress: called with each result as it comes, by the calling thread.
        rules: what is held or skipped.
        workers: threads; the invoices of one customer stay in one.
        clock: UTC µs.
        sleep: waits so many seconds before a request is tried again.

    Returns:
        One result per invoice, in the given order.

    Raises:
        StripeError: the account cannot be read, so nothing was tried.
    """
    if not invoices:
        return []
    account = Sender(Outbox(engine, "", clock), clock, sleep).read(gateway.account)
    shared = _Push(Outbox(engine, account, clock), gateway, rules, clock, sleep)
    # All of it stands in the outbox before anything is sent; what cannot be sent is told one by one.
    shared.outbox.plan_all(
        [each for each in invoices if each.lines and not rules.skip(each) and not invoice_faults(each)]
    )
    by_customer: dict[str, list[int]] = {}
    for index, invoice in enumerate(invoices):
        by_customer.setdefault(invoice.customer_id, []).append(index)
    results: dict[int, PushResult] = {}

    def take(found: Iterable[tuple[int, PushResult]]) -> None:
        for index, result in found:
            results[index] = result
            if progress is not None:
                progress(result)

    def of_customer(indexes: Sequence[int]) -> Iterable[tuple[int, PushResult]]:
        return ((index, shared.push(invoices[index])) for index in indexes)

    if workers == 1:
        for indexes in by_customer.values():
            take(of_customer(indexes))
    else:
        with ThreadPoolExecutor(workers, "stripe-push") as pool:
            pending = [
                pool.submit(lambda indexes=indexes: list(of_customer(indexes)))  # type: ignore[misc]  # bound at once
                for indexes in by_customer.values()
            ]
            for future in as_completed(pending):
                take(future.result())
    return [results[index] for index in range(len(invoices))]


def _push(shared: _Push, steps: Steps, invoice: PlannedInvoice) -> PushResult:
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
    skipped = "no lines, so there is nothing to invoice"
    if invoice.lines:
        # What is final already is not taken back by a policy that came later.
        skipped = "" if _is_final(shared.outbox, invoice) else shared.rules.skip(invoice)
    held = shared.rules.hold(invoice)
    try:
        if skipped:
            _withdraw_what_is_not_due(shared.outbox, steps, invoice)
            return replace(result, state="skipped", message=skipped)
        done = _until_done(shared.outbox, steps, invoice, finalize=not held)
    except StripeDifferenceError as error:
        return replace(result, state="refused", message=str(error))
    except StripeError as error:
        return replace(result, message=f"{error}; run the push again")
    if done.state is State.VERIFIED:
        return replace(result, state="held", stripe_invoice_id=done.stripe_invoice_id, message=held)
    return replace(result, state="finalized", stripe_invoice_id=done.stripe_invoice_id, message=done.detail)


def _is_final(outbox: Outbox, invoice: PlannedInvoice) -> bool:
    push = outbox.latest_push(invoice)
    return (
        push is not None
        and push.lines_hash == invoice.lines_hash()
        and outbox.progress(push).state in (State.FINALIZED, State.RECONCILED)
    )


def _until_done(outbox: Outbox, steps: Steps, invoice: PlannedInvoice, *, finalize: bool) -> Progress:
    """The last transition: reconciled, or verified where it is not to be finalized."""
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
        elif progress.state is State.RECONCILED:
            return progress
        else:
            try:
                steps.advance(push, progress, finalize=finalize)
            except StripeGoneError as error:
                outbox.move(push, progress, State.SUPERSEDED, progress.stripe_invoice_id, str(error))
            moved = outbox.progress(push)
            if not finalize and moved.state is State.VERIFIED:
                return moved
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
    if progress.state in (State.FINALIZED, State.RECONCILED):
        raise StripeDifferenceError(
            push.subject,
            [f"{progress.stripe_invoice_id} is finalized with other lines than are now due"],
            BOOK_THE_DIFFERENCE,
        )
    steps.withdraw(push, progress)
