"""The steps of one push: what each sends, and the transition it writes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from billing_pipeline.errors import StripeDifferenceError, StripeGoneError, StripeRefusedError
from billing_pipeline.invoicing.push.outbox import MENDED, Outbox, Progress, Push, SentRequest, State
from billing_pipeline.invoicing.push.plan import differences
from billing_pipeline.invoicing.push.sending import Sender
from billing_pipeline.invoicing.stripe.port import (
    LINE_ID,
    Parameters,
    StripeInvoice,
    StripeLine,
    StripePort,
)

CREATE_CUSTOMER = "create_customer"
CREATE_INVOICE = "create_invoice"
ADD_LINES = "add_lines"
FINALIZE_INVOICE = "finalize_invoice"

BOOK_THE_DIFFERENCE = (
    "No second invoice is made: book the difference as an adjustment of the next period or as a credit note."
)

MENDS_MOST = 3
"""Drafts of the same lines that are thrown away because somebody else works on them; then a person is asked."""

_FINAL = ("open", "paid", "uncollectible")
_HTTP_NOT_FOUND = 404
_CLOCK_TOLERANCE_SECONDS = 3600
"""Between our clock and Stripe's, when customers are looked up by the time of their making."""


class Steps:
    """The steps over one outbox and one gateway. Each may be repeated, by any process, after any crash."""

    def __init__(self, port: StripePort, outbox: Outbox, sender: Sender) -> None:
        self._port = port
        self._outbox = outbox
        self._sender = sender

    def advance(self, push: Push, progress: Progress, *, finalize: bool) -> None:
        """Take the next step from `progress`; without `finalize` the last one is a verified draft.

        Raises:
            StripeGoneError: the draft is not there any more.
            StripeDifferenceError: what is in Stripe is not what is planned, and cannot be mended.
            StripeError: Stripe refused, failed or is not reachable.
        """
        if progress.state is State.PLANNED:
            self._create_draft(push, progress)
        elif progress.state is State.DRAFT:
            self._add_lines(push, progress)
        elif progress.state is State.FINALIZED:
            self._read_back(push, progress)
        else:
            self._verify_and_finalize(push, progress, finalize=finalize)

    def withdraw(self, push: Push, progress: Progress) -> None:
        """Delete the draft of a revision that is no longer wanted, so that the next one can be made.

        Raises:
            StripeDifferenceError: it has been finalized in the meantime; there is nothing to take back.
        """
        if progress.state is State.PLANNED:
            if self._outbox.last_request(CREATE_INVOICE, push.subject, 0) is None:
                self._outbox.move(push, progress, State.SUPERSEDED, None, "never sent")
                return
            self._create_draft(push, progress)
            progress = self._outbox.progress(push)
        invoice_id = _invoice_id(push, progress)
        invoice = self._sender.read(lambda: self._port.retrieve_invoice(invoice_id))
        if invoice is not None and invoice.status != "draft":
            self._finalized_elsewhere(push, progress, invoice)
            raise StripeDifferenceError(
                push.subject,
                [f"{invoice_id} is finalized with other lines than are now due"],
                BOOK_THE_DIFFERENCE,
            )
        self._delete_draft(invoice_id)
        self._outbox.move(push, progress, State.SUPERSEDED, invoice_id, "draft deleted")

    def _create_draft(self, push: Push, progress: Progress) -> None:
        customer = self._customer(push)

        def look_up(_request: SentRequest) -> StripeInvoice | None:
            found = self._port.find_invoices(customer, push.subject)
            if len(found) > 1:
                names = ", ".join(invoice.invoice_id for invoice in found)
                raise StripeDifferenceError(
                    push.subject, [f"{names} all carry this push"], "Delete or void all but one in Stripe."
                )
            return found[0] if found else None

        invoice = self._sender.send(
            CREATE_INVOICE,
            push.subject,
            {**push.plan.invoice, "customer": customer},
            self._port.create_invoice,
            look_up,
        )
        if not self._outbox.move(push, progress, State.DRAFT, invoice.invoice_id):
            now = self._outbox.progress(push)
            if now.state is State.SUPERSEDED and now.stripe_invoice_id != invoice.invoice_id:
                # Another process gave this revision up before it knew of the draft: nobody else would delete it.
                self._delete_draft(invoice.invoice_id)

    def _customer(self, push: Push) -> str:
        known = self._outbox.stripe_id("customer", push.customer_id)
        if known is not None:
            return known

        def look_up(request: SentRequest) -> str | None:
            since = request.recorded_at // 1_000_000 - _CLOCK_TOLERANCE_SECONDS
            return next(iter(sorted(self._port.find_customers(push.customer_id, since))), None)

        made = self._sender.send(
            CREATE_CUSTOMER, push.customer_id, push.plan.customer, self._port.create_customer, look_up
        )
        self._outbox.remember("customer", push.customer_id, made)
        return self._outbox.stripe_id("customer", push.customer_id) or made

    def _add_lines(self, push: Push, progress: Progress) -> None:
        invoice_id = _invoice_id(push, progress)
        for batch, parameters in enumerate(push.plan.batches):
            self._add_batch(push, invoice_id, batch, parameters)
        self._outbox.move(push, progress, State.LINES_ADDED, invoice_id)

    def _add_batch(self, push: Push, invoice_id: str, batch: int, parameters: Parameters) -> None:
        def call(sent: Parameters, key: str) -> StripeInvoice:
            return self._port.add_lines(invoice_id, sent, key)

        def look_up(_request: SentRequest) -> StripeInvoice | None:
            invoice = self._port.retrieve_invoice(invoice_id)
            if invoice is None:
                raise _gone(push, invoice_id)
            there = {line.line_id for line in self._port.lines(invoice_id)}
            wanted = {line["metadata"][LINE_ID] for line in parameters["lines"]}
            return invoice if wanted <= there else None

        with _not_found_is_gone(push, invoice_id):
            self._sender.send(ADD_LINES, push.subject, parameters, call, look_up, batch=batch)

    def _verify_and_finalize(self, push: Push, progress: Progress, *, finalize: bool) -> None:
        """Verify, also what was verified in an earlier run: only what was just seen right is finalized."""
        invoice_id = _invoice_id(push, progress)
        invoice, lines = self._seen(invoice_id)
        if invoice is None:
            raise _gone(push, invoice_id)
        if invoice.status != "draft":
            self._finalized_elsewhere(push, progress, invoice)
            return
        faults = differences(push.plan, invoice, lines)
        if faults:
            self._mend(push, progress, lines, faults)
            return
        if progress.state is State.LINES_ADDED:
            self._outbox.move(push, progress, State.VERIFIED, invoice_id)
            progress = self._outbox.progress(push)
        if not finalize or progress.state is not State.VERIFIED:
            return  # somebody is to look at it first, or another process has moved on
        final = self._finalize(push, invoice_id)
        detail = "" if final.total == invoice.total else f"finalized with a total of {final.total}"
        self._outbox.move(push, progress, State.FINALIZED, invoice_id, detail)

    def _mend(
        self, push: Push, progress: Progress, lines: Sequence[StripeLine], faults: Sequence[str]
    ) -> None:
        """Throw the draft away, so that the next revision makes it anew; lines of others stay theirs.

        Raises:
            StripeDifferenceError: that has been done often enough.
        """
        invoice_id = _invoice_id(push, progress)
        if self._outbox.mended(push) >= MENDS_MOST:
            raise StripeDifferenceError(
                push.subject,
                faults,
                f"It was made anew {MENDS_MOST} times. Find out who edits drafts in Stripe, then push again; nothing "
                "was finalized.",
            )
        planned = push.plan.amounts()
        foreign = [line.stripe_line_id for line in lines if line.line_id not in planned]
        if foreign:
            self._give_back(push, invoice_id, foreign)
        self._delete_draft(invoice_id)
        self._outbox.move(push, progress, State.SUPERSEDED, invoice_id, MENDED + "; ".join(faults[:5]))

    def _give_back(self, push: Push, invoice_id: str, foreign: Sequence[str]) -> None:
        """Take lines of others off the draft before it is deleted, and they with it."""
        self._sender.sent += 1
        try:
            self._sender.read(lambda: self._port.remove_lines(invoice_id, foreign))
        except StripeRefusedError:
            # An attempt without an answer may have taken them off: what is not there cannot be removed again.
            invoice, lines = self._seen(invoice_id)
            if invoice is None:
                raise _gone(push, invoice_id) from None
            if {line.stripe_line_id for line in lines} & set(foreign):
                raise

    def _delete_draft(self, invoice_id: str) -> None:
        self._sender.sent += 1
        self._sender.read(lambda: self._port.delete_draft(invoice_id))

    def _read_back(self, push: Push, progress: Progress) -> None:
        """See what became of it: an invoice that is final, and as planned, is reconciled."""
        invoice_id = _invoice_id(push, progress)
        invoice, lines = self._seen(invoice_id)
        if invoice is None:
            raise StripeDifferenceError(push.subject, [f"{invoice_id} is gone"], BOOK_THE_DIFFERENCE)
        self._refuse_difference(push, invoice, lines)
        self._outbox.move(push, progress, State.RECONCILED, invoice_id, progress.detail)

    def _seen(self, invoice_id: str) -> tuple[StripeInvoice | None, Sequence[StripeLine]]:
        invoice = self._sender.read(lambda: self._port.retrieve_invoice(invoice_id))
        if invoice is None:
            return None, ()
        return invoice, self._sender.read(lambda: self._port.lines(invoice_id))

    def _finalize(self, push: Push, invoice_id: str) -> StripeInvoice:
        def call(sent: Parameters, key: str) -> StripeInvoice:
            return self._port.finalize_invoice(invoice_id, sent, key)

        def look_up(_request: SentRequest) -> StripeInvoice | None:
            invoice = self._port.retrieve_invoice(invoice_id)
            return None if invoice is None or invoice.status == "draft" else invoice

        with _not_found_is_gone(push, invoice_id):
            return self._sender.send(FINALIZE_INVOICE, push.subject, push.plan.finalize, call, look_up)

    def _finalized_elsewhere(self, push: Push, progress: Progress, invoice: StripeInvoice) -> None:
        """Take note of an invoice that is final in Stripe though the outbox does not know it yet."""
        self._refuse_difference(
            push, invoice, self._sender.read(lambda: self._port.lines(invoice.invoice_id))
        )
        self._outbox.move(push, progress, State.FINALIZED, invoice.invoice_id)

    def _refuse_difference(self, push: Push, invoice: StripeInvoice, lines: Sequence[StripeLine]) -> None:
        faults = differences(push.plan, invoice, lines)
        if invoice.status not in _FINAL:
            faults.append(f"{invoice.invoice_id} is {invoice.status}")
        if faults:
            action = f"It is {invoice.status} in Stripe. {BOOK_THE_DIFFERENCE}"
            raise StripeDifferenceError(push.subject, faults, action)


def _invoice_id(push: Push, progress: Progress) -> str:
    if progress.stripe_invoice_id is None:
        raise StripeGoneError("read outbox", f"{push.subject} is {progress.state} and names no invoice")
    return progress.stripe_invoice_id


def _gone(push: Push, invoice_id: str) -> StripeGoneError:
    return StripeGoneError("retrieve invoice", f"the draft {invoice_id} of {push.subject} is gone")


@contextmanager
def _not_found_is_gone(push: Push, invoice_id: str) -> Iterator[None]:
    try:
        yield
    except StripeRefusedError as error:
        if error.status == _HTTP_NOT_FOUND:
            raise _gone(push, invoice_id) from error
        raise
