"""Which way each line of a customer's invoice period goes to Stripe. Pure.

What has gone one way stays there, whatever the policy says later: a line on a final invoice, and one of a credit note
that may have been sent. So planning again what was pushed gives what was pushed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from billing_pipeline.invoicing.lines.line_order import line_rank
from billing_pipeline.invoicing.policies.policy import InvoicingPolicies
from billing_pipeline.invoicing.push.billed import BilledLine, planned_line
from billing_pipeline.invoicing.push.known import InvoiceKey, KnownInvoices
from billing_pipeline.invoicing.push.planned import PlannedInvoice, PlannedLine


@dataclass(frozen=True, kw_only=True)
class PlannedCreditNote:
    """What is less now for a final invoice: adjustment lines of `billing_period`, credited on the one they correct.

    Attributes:
        billing_period: the invoice period whose lines these are.
        corrects: the invoice period that is corrected.
        stripe_invoice_id: its invoice in Stripe.
        lines: all of them negative; none where an earlier plan had some that are no longer due.
    """

    customer_id: str
    billing_period: date
    corrects: date
    currency: str
    stripe_invoice_id: str
    lines: tuple[PlannedLine, ...]

    @property
    def total_minor(self) -> int:
        """The sum of the lines, in minor units; below zero."""
        return sum(line.amount_minor for line in self.lines)

    @property
    def as_invoice(self) -> PlannedInvoice:
        """The lines as if they were invoiced: what holds for the lines of an invoice holds for these."""
        return PlannedInvoice(
            customer_id=self.customer_id,
            customer_name="",
            billing_period=self.billing_period,
            currency=self.currency,
            lines=self.lines,
        )

    def lines_hash(self) -> str:
        """As that of an invoice: currency, line ids and amounts."""
        return self.as_invoice.lines_hash()


@dataclass(frozen=True, kw_only=True)
class PlannedDelivery:
    """All lines of a customer's invoice period in one currency, each in exactly one place.

    Attributes:
        invoice: what is pushed as an invoice; it may have no lines.
        credit_notes: what is credited on earlier invoices.
        metered: lines whose usage Stripe has been told of as meter events.
    """

    invoice: PlannedInvoice
    credit_notes: tuple[PlannedCreditNote, ...] = ()
    metered: tuple[PlannedLine, ...] = ()


def plan_delivery(
    lines: Iterable[BilledLine], customer_name: str, policies: InvoicingPolicies, known: KnownInvoices
) -> PlannedDelivery:
    """Put every line of one customer's invoice period in one currency where it goes.

    Args:
        lines: all of them, in any order.
        customer_name: as Stripe is to show it.
        policies: by plan.
        known: what the outbox holds; nothing that Stripe answers decides.

    Raises:
        ValueError: there are no lines, or lines of several invoices.
    """
    ordered = sorted(lines, key=lambda line: (line_rank(line.component, line.kind), line.line_id))
    keys = {(line.customer_id, line.billing_period, line.currency) for line in ordered}
    if len(keys) != 1:
        raise ValueError(f"lines of {len(keys)} invoices are no delivery; group them by invoice")
    (key,) = keys
    decreases = _Decreases(key, policies, known)
    invoiced: list[PlannedLine] = []
    credited: dict[date, list[PlannedLine]] = {}
    metered: list[PlannedLine] = []
    for line in ordered:
        corrects = known.name_of(line.corrected_invoice) if line.kind == "adjustment" else ""
        planned = planned_line(line, corrects)
        if _is_metered(line, known):
            metered.append(planned)
        elif decreases.take(line):
            credited.setdefault(line.usage_period, []).append(planned)
        else:
            invoiced.append(planned)
    customer_id, billing_period, currency = key
    return PlannedDelivery(
        invoice=PlannedInvoice(
            customer_id=customer_id,
            customer_name=customer_name,
            billing_period=billing_period,
            currency=currency,
            lines=tuple(invoiced),
        ),
        credit_notes=tuple(
            PlannedCreditNote(
                customer_id=customer_id,
                billing_period=billing_period,
                corrects=period,
                currency=currency,
                stripe_invoice_id=decreases.stripe_invoice_id(period),
                lines=tuple(credited.get(period, ())),
            )
            for period in sorted({*credited, *decreases.known_periods})
        ),
        metered=tuple(metered),
    )


def _is_metered(line: BilledLine, known: KnownInvoices) -> bool:
    """Usage of the period itself, of a plan that delivers it as meter events; what came after is a line like any."""
    return (
        line.component == "usage"
        and line.usage_period == line.billing_period
        and known.deliveries.get((line.customer_id, line.plan, line.billing_period)) == "meter_events"
    )


class _Decreases:
    """Decides of one invoice period's negative adjustments, in their order, which are credited; whole lines only."""

    def __init__(self, key: InvoiceKey, policies: InvoicingPolicies, known: KnownInvoices) -> None:
        self._policies = policies
        self._known = known
        self._notes = {note.corrects: note for note in known.notes_of(key)}
        own = known.final(key)
        self._on_final_invoice = own.line_ids if own else frozenset[str]()
        self._room: dict[date, int] = {}
        self._key = key

    @property
    def known_periods(self) -> Iterable[date]:
        """The periods for which the outbox has a credit note already."""
        return self._notes

    def stripe_invoice_id(self, corrects: date) -> str:
        """The invoice on which a period's decreases are credited: once sent, always the same one."""
        note = self._notes.get(corrects)
        return (
            note.stripe_invoice_id if note and note.sent else self._known.name_of(self._corrected(corrects))
        )

    def take(self, line: BilledLine) -> bool:
        """Whether the line is credited; what is taken leaves less room to the next ones."""
        if line.kind != "adjustment" or line.line_id in self._on_final_invoice:
            return False
        note = self._notes.get(line.usage_period)
        noted = note is not None and line.line_id in note.line_ids
        if note is not None and note.sent:
            return noted
        if line.amount_minor >= 0:
            return False
        if not noted and self._policies.of(line.plan).decreases != "credit_note":
            return False
        room = self._room_on(line.usage_period)
        if -line.amount_minor > room:
            return False
        self._room[line.usage_period] = room + line.amount_minor
        return True

    def _room_on(self, corrects: date) -> int:
        if corrects not in self._room:
            invoice = self._corrected(corrects)
            final = self._known.final(invoice)
            total = final.total_minor if final else 0
            self._room[corrects] = total - self._known.credited_by_others(invoice, self._key[1])
        return self._room[corrects]

    def _corrected(self, corrects: date) -> InvoiceKey:
        customer_id, _, currency = self._key
        return customer_id, corrects, currency
