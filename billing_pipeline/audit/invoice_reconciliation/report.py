"""The reconciliation of the invoice periods that ended on some days: reads all sides, writes only its own table."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Any

from billing_pipeline.audit.invoice_reconciliation.charge_quantities import (
    blocked_periods,
    charge_quantities,
    periods_by_customer,
)
from billing_pipeline.audit.invoice_reconciliation.comparison import (
    Compared,
    EndedPeriod,
    ReportRow,
    listed,
    sort_rows,
)
from billing_pipeline.audit.invoice_reconciliation.delivered import FINAL, Delivered, delivered
from billing_pipeline.audit.invoice_reconciliation.event_quantities import event_quantities
from billing_pipeline.audit.invoice_reconciliation.line_amounts import line_amounts
from billing_pipeline.audit.invoice_reconciliation.metered_books import MeteredBooks
from billing_pipeline.audit.invoice_reconciliation.stripe_amounts import (
    COMPARISON,
    BilledLine,
    LinesInvoice,
    foreign_invoices,
    stripe_amounts,
)
from billing_pipeline.audit.invoice_reconciliation.stripe_books import (
    CustomerBooks,
    RetryingBooks,
    StripeBooks,
    read_books,
)
from billing_pipeline.control.clock import now_us
from billing_pipeline.invoicing.lines.invoice_periods import customers_ending
from billing_pipeline.invoicing.meter_events.port import MeterPort
from billing_pipeline.invoicing.period_close.holding import read_holding
from billing_pipeline.invoicing.period_close.push_stage import billed_on, deliveries
from billing_pipeline.invoicing.policies.policy import InvoicingPolicies
from billing_pipeline.invoicing.push.outbox import Outbox
from billing_pipeline.invoicing.push.planned import PlannedInvoice, invoice_faults
from billing_pipeline.invoicing.push.sending import Sender
from billing_pipeline.metering.registry_relations import registry_until
from billing_pipeline.metering.stage import Draft, StageResult, Workshop, finish, scan
from billing_pipeline.rating.periods import period_start
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.schemas.tables import (
    BLOCKED_INVOICES,
    INVOICE_LINES,
    RATED_CHARGES,
    RATED_PERIODS,
    RECONCILIATION_REPORT,
    UNMETERED_USAGE,
    USAGE_ROLLUPS,
)
from billing_pipeline.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

STRIPE_READERS = 8
"""Customers whose invoices are read at once; the gateway keeps the pace that Stripe allows."""
Connect = Callable[[], AbstractContextManager[StripeBooks]]
_READ = (USAGE_ROLLUPS, UNMETERED_USAGE, RATED_CHARGES, RATED_PERIODS, BLOCKED_INVOICES, INVOICE_LINES)
_LINES = (
    "SELECT customer_id, billing_period, currency, line_id, amount_minor, kind, component, plan, usage_period "
    "FROM lines ORDER BY customer_id, billing_period, currency, line_id"
)
InvoiceName = tuple[str, date, str]


def _stripe_meters(gateway: Any) -> MeterPort:
    from billing_pipeline.invoicing.meter_events.stripe_meters import StripeMeters

    return StripeMeters(gateway)


@dataclass(frozen=True)
class InvoiceReconciler:
    """Reconciles the invoice periods of one company.

    Attributes:
        connect: opens Stripe, or what stands for it.
        holds: why a planned invoice waits, "" where it does not.
        meters: what reads meters over an opened Stripe.
        clock: UTC µs.
        sleep: waits so many seconds before Stripe is asked again.
    """

    workshop: Workshop
    control: "Engine"
    policies: InvoicingPolicies
    connect: Connect
    holds: Callable[[PlannedInvoice], str] = lambda _: ""
    meters: Callable[[Any], MeterPort] = _stripe_meters
    clock: Callable[[], int] = now_us
    sleep: Callable[[float], None] = time.sleep

    def write(self, days: Sequence[date]) -> StageResult:
        """Make the partitions of some days on which invoice periods may end."""
        read = {table.name: self.workshop.lake.snapshot(table) for table in _READ}
        draft = Draft(self.workshop, RECONCILIATION_REPORT)
        made = {day: self.rows([day]) for day in days}
        with self.workshop.engine.session() as session:
            for day, rows in made.items():
                draft.write_rows(session, rows, PartitionKey(day))
        return finish((draft,), read)

    def rows(self, days: Sequence[date], customer_id: str | None = None) -> list[ReportRow]:
        """The rows of the periods that end on some days, of all customers or of one; nothing is written.

        Raises:
            StripeError: Stripe cannot be read.
        """
        found: list[Compared] = []
        for day in sorted(days):
            periods = [each for each in self._ended(day) if customer_id in {None, each.customer_id}]
            if periods:
                found += self._day(day, periods)
        return sort_rows(each.row for each in found)

    def _ended(self, day: date) -> list[EndedPeriod]:
        with self.workshop.engine.session() as session:
            registry = registry_until(self.workshop, session, day)
        return [
            EndedPeriod(customer_id, period_start(day, registry.anchor_day(customer_id)), day)
            for customer_id in customers_ending(registry, day)
        ]

    def _day(self, day: date, periods: Sequence[EndedPeriod]) -> Iterator[Compared]:
        by_customer = periods_by_customer(periods)
        with self.workshop.engine.session() as session:
            blocked = blocked_periods(self.workshop, session, day)
        for customer_id in sorted(blocked.keys() & by_customer.keys()):
            told = listed(list(dict.fromkeys(blocked[customer_id].values())))
            yield Compared(by_customer[customer_id], COMPARISON, Decimal(), Decimal(), "blocked", detail=told)
        yield from event_quantities(self.workshop, periods)
        yield from charge_quantities(self.workshop, day, by_customer)
        yield from line_amounts(self.workshop, day, by_customer)
        sender = Sender(Outbox(self.control, "", self.clock), self.clock, self.sleep)
        with self.connect() as connected:
            stripe = RetryingBooks(connected, sender)
            account = stripe.account()
            invoices = self._invoices(account, day, by_customer)
            known = delivered(self.control, account, {each.start for each in periods})
            with ThreadPoolExecutor(STRIPE_READERS, "stripe-books") as pool:
                for found in pool.map(
                    lambda period: _against_stripe(
                        period, invoices.get(period.customer_id, {}), known, stripe
                    ),
                    periods,
                ):
                    yield from found
            metered = MeteredBooks(self.workshop, self.control, account, sender, set(blocked), self.clock)
            yield from metered.compared(day, by_customer, known, lambda: self.meters(connected))

    def _invoices(
        self, account: str, day: date, periods: Mapping[str, EndedPeriod]
    ) -> dict[str, dict[str, LinesInvoice]]:
        """By customer and currency."""
        planned = {
            (each.invoice.customer_id, each.invoice.billing_period, each.invoice.currency): each.invoice
            for each in deliveries(self.control, account, self.policies, billed_on(self.workshop, day))
        }
        with self.workshop.engine.session() as session:
            scan(self.workshop, session, "lines", INVOICE_LINES, [day])
            rows: list[tuple[Any, ...]] = session.rows(_LINES)
        found: dict[str, dict[str, LinesInvoice]] = {}
        for name, group in groupby(rows, lambda row: row[:3]):
            customer_id, start, currency = name
            if customer_id in periods:
                lines = tuple(BilledLine(*row[3:]) for row in group)
                found.setdefault(customer_id, {})[currency] = LinesInvoice(
                    EndedPeriod(customer_id, start, day),
                    currency,
                    lines,
                    self.policies.skips_zero({line.plan for line in lines if line.plan}),
                    self.holds(planned[name]),
                    tuple(invoice_faults(planned[name])),
                )
        return found


def reconciler(
    workshop: Workshop, control: "Engine", policies: InvoicingPolicies, settings: Settings
) -> InvoiceReconciler:
    """One that asks the Stripe that the settings mean."""

    def connect() -> AbstractContextManager[StripeBooks]:
        from billing_pipeline.invoicing.stripe.connection import connect_stripe

        return connect_stripe(settings)

    return InvoiceReconciler(workshop, control, policies, connect, read_holding(control, policies).hold)


def stored_rows(workshop: Workshop, days: Sequence[date]) -> list[ReportRow]:
    """What the partitions of some days hold, in the order in which it is shown."""
    with workshop.engine.session() as session:
        scan(workshop, session, "reports", RECONCILIATION_REPORT, days)
        rows: list[tuple[Any, ...]] = session.rows("SELECT * FROM reports")
    return sort_rows(ReportRow(*row) for row in rows)


def _against_stripe(
    period: EndedPeriod, invoices: Mapping[str, LinesInvoice], known: Delivered, stripe: StripeBooks
) -> list[Compared]:
    """What Stripe has of the customer's period, also in currencies in which there are no lines any more."""
    name = period.start.isoformat()
    pushed = {
        currency
        for customer_id, start, currency in known.pushes
        if (customer_id, start) == (period.customer_id, name)
    }
    found = [
        invoices.get(currency) or LinesInvoice(period, currency, ())
        for currency in sorted(invoices.keys() | pushed)
    ]
    customer = known.customers.get(period.customer_id)
    books = CustomerBooks()
    if customer is not None:
        final = (known.pushes.get(each.key) for each in found)
        wanted = {push.invoice_id or "" for push in final if push and push.state in FINAL}
        notes = (note for each in found for note in known.credit_notes.get(each.key, ()))
        noted = {note.invoice_id for note in notes if note.state in FINAL}
        books = read_books(stripe, customer, wanted, noted)
    compared = [row for each in found for row in stripe_amounts(each, known, books)]
    return [*compared, *foreign_invoices(period, known, books)]
