"""The push of the invoices whose period ends on some days, from the table of invoice lines to Stripe."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from billing_pipeline.contract.instants import instant_text
from billing_pipeline.contract.registry import Registry
from billing_pipeline.control.clock import now_us
from billing_pipeline.control.partition_records import latest
from billing_pipeline.errors import CloseGateError
from billing_pipeline.invoicing.lines.line_order import LINE_RANK
from billing_pipeline.invoicing.period_close.holding import Holding
from billing_pipeline.invoicing.policies.policy import InvoicingPolicies
from billing_pipeline.invoicing.push.billed import BILLED_COLUMNS, BilledLine, planned_line
from billing_pipeline.invoicing.push.credit_notes import CreditNoteResult, push_credit_notes
from billing_pipeline.invoicing.push.delivery import PlannedDelivery, plan_delivery
from billing_pipeline.invoicing.push.delivery_records import record_rated_lines, recorded_deliveries
from billing_pipeline.invoicing.push.invoice_push import PushResult, push_invoices
from billing_pipeline.invoicing.push.known import InvoiceKey
from billing_pipeline.invoicing.push.known_reader import read_known
from billing_pipeline.invoicing.push.outbox import Outbox
from billing_pipeline.invoicing.push.planned import PlannedInvoice
from billing_pipeline.invoicing.push.sending import Sender
from billing_pipeline.metering.calendar import Calendar
from billing_pipeline.metering.registry_relations import registry_until
from billing_pipeline.metering.stage import Partition, StageResult, Workshop, scan
from billing_pipeline.rating.periods import period_name
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.schemas.tables import BLOCKED_INVOICES, INVOICE_LINES
from billing_pipeline.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from billing_pipeline.invoicing.stripe.port import StripePort

WORKERS = 4
"""Threads of a push: enough to wait for Stripe at its usual pace. The simulator gets one: its ids are in an order."""
_INVOICE = "customer_id, billing_period, currency"
PUSHES = "stripe_invoice_pushes"
"""The name under which it is kept which days have been pushed; nothing in the lake bears it."""


def refuse_unclosed(calendar: Calendar, days: Sequence[date], watermark: int) -> None:
    """Let only invoices of closed periods go to Stripe.

    Raises:
        CloseGateError: a day is not closed by the watermark.
    """
    for day in days:
        if watermark < calendar.close(day):
            raise CloseGateError(
                f"{day} is not closed: records received before {instant_text(calendar.close(day))} may still come "
                f"(the watermark is {instant_text(watermark)}); close it first with `billing close --through {day}`"
            )


@dataclass(frozen=True)
class PushedDay:
    """What became of the invoices and credit notes of the periods that end on a day."""

    day: date
    invoices: tuple[PushResult, ...]
    credit_notes: tuple[CreditNoteResult, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether nothing of the day is left to be done."""
        return all(each.state in {"finalized", "skipped"} for each in self.invoices) and not self.unissued

    @property
    def unfinished(self) -> list[PushResult]:
        """Invoices that did not get to Stripe; those that wait for somebody are none of them."""
        return [each for each in self.invoices if each.state in {"failed", "refused"}]

    @property
    def unissued(self) -> list[CreditNoteResult]:
        """Credit notes that did not get to Stripe."""
        return [each for each in self.credit_notes if each.state in {"failed", "refused"}]


def push_days(
    workshop: Workshop,
    control: "Engine",
    settings: Settings,
    days: Sequence[date],
    *,
    holding: Holding | None = None,
    progress: Callable[[PushResult], None] | None = None,
) -> list[PushedDay]:
    """Push every invoice whose period ends on one of the days; what is in Stripe already stays as it is.

    Credit notes go first: what is credited then stands in the outbox before an invoice without it is final. Those of
    an invoice that waits for somebody wait with it. A day goes after the one before: its invoices may correct that's.
    """
    from billing_pipeline.invoicing.stripe.connection import connect_stripe

    holding = holding or Holding(InvoicingPolicies(), frozenset(), {})
    workers = WORKERS if settings.stripe_api_key else 1
    pushed: list[PushedDay] = []
    with ExitStack() as stack:
        gateway: StripePort | None = None
        for day in sorted(days):
            lines = billed_on(workshop, day)
            if not lines.lines:
                pushed.append(PushedDay(day, ()))
                continue
            if gateway is None:
                gateway = stack.enter_context(connect_stripe(settings))
                account = Sender(Outbox(control, "", now_us), now_us).read(gateway.account)
            record_rated_lines(control, account, lines.lines)
            planned = deliveries(control, account, holding.policies, lines)
            rules = replace(holding, told_twice=told_twice(control, account, lines)).rules
            notes = [note for each in planned if not rules.hold(each.invoice) for note in each.credit_notes]
            issued = push_credit_notes(control, gateway, notes, workers=workers)
            invoices = [each.invoice for each in planned]
            results = push_invoices(control, gateway, invoices, progress, rules=rules, workers=workers)
            pushed.append(PushedDay(day, tuple(results), tuple(issued)))
    return pushed


class BilledDay(NamedTuple):
    """All lines of the invoices whose period ends on a day, and the names of their customers.

    `blocked` are the invoice periods (customer, start) that were blocked before: these invoices answer for them.
    """

    lines: Sequence[BilledLine]
    names: Mapping[str, str]
    blocked: Collection[tuple[str, date]] = frozenset()


def billed_on(workshop: Workshop, day: date) -> BilledDay:
    """The lines of a day, by customer, period and currency."""
    with workshop.engine.session() as session:
        if not scan(workshop, session, "lines", INVOICE_LINES, [day]):
            return BilledDay((), {})
        query = f"SELECT {BILLED_COLUMNS} FROM lines ORDER BY {_INVOICE}, {LINE_RANK}, line_id"
        rows: list[BilledLine] = [BilledLine(*row) for row in session.rows(query)]  # type: ignore[arg-type]  # as declared
        registry = registry_until(workshop, session, day)
        scan(workshop, session, "blocked", BLOCKED_INVOICES)
        blocked: list[Any] = session.rows("SELECT DISTINCT customer_id, billing_period FROM blocked")
    names = {each.customer_id: _name(registry, each.customer_id) for each in rows}
    return BilledDay(rows, names, frozenset((customer_id, start) for customer_id, start in blocked))


def told_twice(control: "Engine", account: str, billed: BilledDay) -> dict[InvoiceKey, str]:
    """Invoices with lines of usage that Stripe was told of as meter events already, and what to do about each.

    That is so where the period that was metered had been blocked: the invoice that answers for it has all its usage.
    """
    doubtful = [
        line
        for line in billed.lines
        if line.kind == "adjustment"
        and line.component == "usage"
        and (line.customer_id, line.usage_period) in billed.blocked
    ]
    if not doubtful:
        return {}
    with control.connect() as connection:
        known = recorded_deliveries(connection, account, {line.usage_period for line in doubtful})
    found: dict[InvoiceKey, str] = {}
    for line in doubtful:
        if known.get((line.customer_id, line.plan, line.usage_period)) == "meter_events":
            found[line.customer_id, line.billing_period, line.currency] = (
                f"has the usage of {period_name(line.usage_period)}, which was blocked then and which Stripe was told "
                "of as meter events: take it back there, or credit it, then approve this invoice as it is: `billing "
                f"invoice approve {line.customer_id} {period_name(line.billing_period)} --by WHO --why WHY`"
            )
    return found


def deliveries(
    control: "Engine", account: str, policies: InvoicingPolicies, billed: BilledDay
) -> list[PlannedDelivery]:
    """Which way the lines of a day go, by invoice, as the outbox of an account knows what went before."""
    known = read_known(control, account, billed.lines)
    return [
        plan_delivery(tuple(group), billed.names[customer_id], policies, known)
        for (customer_id, _, _), group in groupby(billed.lines, lambda row: row[:3])
    ]


def pushed_partitions(workshop: Workshop, control: "Engine", days: Sequence[date]) -> StageResult:
    """What is to be kept of days whose invoices have all been pushed: the lines that went, by their hashes.

    A day whose lines were never made has nothing to be kept, and is not closed by it.
    """
    lines = latest(control, INVOICE_LINES.name)
    partitions = tuple(
        Partition(PUSHES, key, found.row_count, found.content_hash)
        for key in map(PartitionKey, days)
        if (found := lines.get(str(key))) is not None
    )
    snapshot = workshop.lake.snapshot(INVOICE_LINES)
    return StageResult(partitions, {INVOICE_LINES.name: snapshot}, {PUSHES: snapshot})


def planned_invoices(workshop: Workshop, days: Sequence[date]) -> list[PlannedInvoice]:
    """The invoices of the periods that end on some days with all their lines, whichever way these go."""
    return [
        PlannedInvoice(
            customer_id=customer_id,
            customer_name=billed.names[customer_id],
            billing_period=billing_period,
            currency=currency,
            lines=tuple(planned_line(row, "") for row in group),
        )
        for day in sorted(days)
        for billed in [billed_on(workshop, day)]
        for (customer_id, billing_period, currency), group in groupby(billed.lines, lambda row: row[:3])
    ]


def _name(registry: Registry, customer_id: str) -> str:
    customer = registry.customer(customer_id)
    return customer.name if customer else customer_id
