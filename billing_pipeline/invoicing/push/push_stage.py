"""The push of the invoices whose period ends on some days, from the table of invoice lines to Stripe."""

from collections.abc import Sequence
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING

from billing_pipeline.contract.instants import instant_text
from billing_pipeline.contract.registry import Registry
from billing_pipeline.control.partition_records import latest
from billing_pipeline.errors import CloseGateError
from billing_pipeline.invoicing.lines.line_order import LINE_RANK
from billing_pipeline.invoicing.push.billed import BILLED_COLUMNS, BilledLine, planned_line
from billing_pipeline.invoicing.push.invoice_push import PushResult, push_invoices
from billing_pipeline.invoicing.push.planned import PlannedInvoice
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.calendar import Calendar
from billing_pipeline.metering.registry_relations import registry_until
from billing_pipeline.metering.stage import Partition, StageResult, Workshop, scan
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.schemas.tables import INVOICE_LINES
from billing_pipeline.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

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


def push_days(
    workshop: Workshop, control: "Engine", settings: Settings, days: Sequence[date]
) -> list[PushResult]:
    """Push every invoice whose period ends on one of the days; what is in Stripe already stays as it is."""
    from billing_pipeline.invoicing.stripe.connection import connect_stripe

    invoices = planned_invoices(workshop, days)
    if not invoices:
        return []
    with connect_stripe(settings) as gateway:
        return push_invoices(control, gateway, invoices)


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
    """The invoices of the periods that end on some days, one per customer, period and currency."""
    with workshop.engine.session() as session:
        return [invoice for day in sorted(days) for invoice in _planned_on(workshop, session, day)]


def _planned_on(workshop: Workshop, session: Session, day: date) -> list[PlannedInvoice]:
    if not scan(workshop, session, "lines", INVOICE_LINES, [day]):
        return []
    query = f"SELECT {BILLED_COLUMNS} FROM lines ORDER BY {_INVOICE}, {LINE_RANK}, line_id"
    rows: list[BilledLine] = [BilledLine(*row) for row in session.rows(query)]  # type: ignore[arg-type]  # as declared
    registry = registry_until(workshop, session, day)
    return [
        PlannedInvoice(
            customer_id=customer_id,
            customer_name=_name(registry, customer_id),
            billing_period=billing_period,
            currency=currency,
            lines=tuple(planned_line(row, "") for row in group),
        )
        for (customer_id, billing_period, currency), group in groupby(rows, lambda row: row[:3])
    ]


def _name(registry: Registry, customer_id: str) -> str:
    customer = registry.customer(customer_id)
    return customer.name if customer else customer_id
