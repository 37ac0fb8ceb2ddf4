"""What became of every invoice of some periods, from the lake and the outbox; nothing is asked of Stripe."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any, Literal, NamedTuple

from billing_pipeline.invoicing.period_close.holding import Holding
from billing_pipeline.invoicing.period_close.named import NamedPeriod
from billing_pipeline.invoicing.push.delivery import PlannedDelivery
from billing_pipeline.invoicing.push.outbox_states import PushState
from billing_pipeline.metering.stage import Workshop, scan
from billing_pipeline.rating.money import format_minor
from billing_pipeline.schemas.tables import BLOCKED_INVOICES

InvoiceState = Literal["running", "blocked", "held", "skipped", "due", "finalized", "failed", "nothing"]
"""`due`: it can be pushed now; `failed`: the push met something, it goes on or a person must look."""
InvoiceName = tuple[str, str, str]
"""Customer, billing period (its start as text), currency."""
FINAL = ("finalized", "reconciled")


class InvoiceOutcome(NamedTuple):
    """One invoice, or a customer whose period has none.

    Attributes:
        total_minor: the sum of all its lines, credited and metered ones too; None where there are no lines.
        stripe_id: Stripe's id of it; "" while it has none.
        reason: why it is not final, in words; or what else is to be known.
    """

    customer_id: str
    start: date
    end: date
    currency: str
    total_minor: int | None
    state: InvoiceState
    stripe_id: str
    reason: str


class Seen(NamedTuple):
    """What the outcomes are read from.

    Attributes:
        closed: days that have been closed to their end.
        deliveries: of the invoices of the periods' last days.
        states: from `outbox_states.push_states`.
        holding: what holds now.
    """

    closed: Collection[date]
    deliveries: Sequence[PlannedDelivery]
    states: Mapping[InvoiceName, PushState]
    holding: Holding


def outcomes(workshop: Workshop, periods: Sequence[NamedPeriod], seen: Seen) -> list[InvoiceOutcome]:
    """What became of the invoices of some periods, by customer, period and currency."""
    by_period: dict[tuple[str, date], list[PlannedDelivery]] = {}
    for each in seen.deliveries:
        by_period.setdefault((each.invoice.customer_id, each.invoice.billing_period), []).append(each)
    blocked = _blocked(workshop, sorted({period.end for period in periods}))
    found: list[InvoiceOutcome] = []
    for period in periods:
        key = (period.customer_id, period.start)
        if period.end not in seen.closed:
            told = f"runs until {period.end}, or that day is not closed yet"
            found.append(InvoiceOutcome(*period, "", None, "running", "", told))
        elif key in blocked:
            found.append(InvoiceOutcome(*period, "", None, "blocked", "", "; ".join(blocked[key])))
        elif key not in by_period:
            found.append(InvoiceOutcome(*period, "", None, "nothing", "", "nothing to invoice"))
        else:
            found += [_outcome(period, each, seen) for each in by_period[key]]
    return found


def _outcome(period: NamedPeriod, delivery: PlannedDelivery, seen: Seen) -> InvoiceOutcome:
    invoice = delivery.invoice
    credited = sum(note.total_minor for note in delivery.credit_notes)
    metered = sum(line.amount_minor for line in delivery.metered)
    told = []
    if credited:
        told.append(f"{format_minor(-credited, invoice.currency)} by credit note")
    if metered:
        told.append(f"{format_minor(metered, invoice.currency)} as meter events")
    outcome = InvoiceOutcome(
        *period,
        invoice.currency,
        invoice.total_minor + credited + metered,
        "due",
        "",
        ", ".join(told),
    )
    pushed = seen.states.get((invoice.customer_id, invoice.billing_period.isoformat(), invoice.currency))
    if pushed is not None and pushed.state in FINAL:
        return outcome._replace(state="finalized", stripe_id=pushed.stripe_id)
    skipped = seen.holding.skip(invoice) if invoice.lines else outcome.reason or "no lines"
    if skipped:
        return outcome._replace(state="skipped", reason=skipped)
    held = seen.holding.hold(invoice)
    stripe_id = pushed.stripe_id if pushed is not None else ""
    if held:
        return outcome._replace(state="held", stripe_id=stripe_id, reason=held)
    if pushed is not None and pushed.failure:
        return outcome._replace(state="failed", stripe_id=stripe_id, reason=pushed.failure)
    return outcome._replace(stripe_id=stripe_id)


def _blocked(workshop: Workshop, days: Sequence[date]) -> dict[tuple[str, date], list[str]]:
    with workshop.engine.session() as session:
        scan(workshop, session, "blocked", BLOCKED_INVOICES, days)
        rows: list[Any] = session.rows(
            "SELECT customer_id, billing_period, reason_code, message FROM blocked "
            "ORDER BY customer_id, billing_period, reason_code, message"
        )
    found: dict[tuple[str, date], list[str]] = {}
    for customer_id, period, code, message in rows:
        found.setdefault((customer_id, period), []).append(f"{code}: {message}")
    return found
