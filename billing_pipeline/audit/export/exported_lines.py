"""The invoice lines of a period with what they do not say themselves: names, periods, and where they are in Stripe."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from billing_pipeline.audit.invoice_reconciliation.delivered import FINAL, Credited, Delivered, delivered
from billing_pipeline.audit.invoice_reconciliation.named_periods import starts_within
from billing_pipeline.contract.registry import Registry
from billing_pipeline.invoicing.lines.line_order import LINE_RANK
from billing_pipeline.metering.registry_relations import registry_until
from billing_pipeline.metering.stage import Workshop, scan
from billing_pipeline.rating.periods import period_end
from billing_pipeline.schemas.tables import INVOICE_LINES

if TYPE_CHECKING:
    from sqlalchemy import Engine

ONE_DAY = timedelta(days=1)


class ExportedLine(NamedTuple):
    """A row of `invoice_lines`; the fields are its columns. `amount_minor` is what the line bills."""

    customer_id: str
    billing_period: date
    currency: str
    period_end_day: date
    line_id: str
    kind: str
    component: str
    term: str
    reason: str
    description: str
    project_id: str
    plan: str
    charge: str
    meter: str
    unit: str
    dimensions: str
    rule_version: str
    usage_period: date
    rated_as_of: date
    quantity: Decimal
    quantity_before: Decimal
    amount: Decimal
    amount_minor: int
    booked_before_minor: int
    evidence_digest: str
    rollup_partitions: str
    tiers: str


class InStripe(NamedTuple):
    """Where a line is in Stripe: `place` is invoice, credit_note, meter_events or, where it is nowhere yet, "".

    Attributes:
        invoice_id: the Stripe invoice that it stands on, or on which it is credited; "" where it is nowhere.
        credit_note_id: of a credit note.
        state: of the push, as the outbox has it; "" where there is none.
    """

    place: str = ""
    invoice_id: str = ""
    credit_note_id: str = ""
    state: str = ""

    @property
    def is_final(self) -> bool:
        """Whether Stripe has issued what holds the line."""
        return self.state in FINAL


@dataclass(frozen=True)
class Exported:
    """The lines of one day on which periods end, in the order of their invoices, and what is known around them."""

    lines: Sequence[ExportedLine]
    registry: Registry
    known: Delivered

    def customer_name(self, customer_id: str) -> str:
        """As registered; the id where it has no name."""
        customer = self.registry.customer(customer_id)
        return customer.name if customer else customer_id

    def usage_until(self, line: ExportedLine) -> date:
        """The first day after the line's usage period."""
        if line.usage_period == line.billing_period:
            return line.period_end_day + ONE_DAY
        try:
            return period_end(line.usage_period, self.registry.anchor_day(line.customer_id)) + ONE_DAY
        except ValueError:  # the anchor has changed since
            return max(line.billing_period, line.usage_period + ONE_DAY)

    def in_stripe(self, line: ExportedLine) -> InStripe:
        """Where the line is, by the outbox; Stripe is not asked."""
        key = (line.customer_id, line.billing_period.isoformat(), line.currency)
        note = _credited(self.known.credit_notes.get(key, ()), line.line_id)
        if note is not None:
            return InStripe("credit_note", note.invoice_id, note.credit_note_id or "", note.state)
        pushed = self.known.pushes.get(key)
        if pushed is not None and pushed.state != "superseded" and line.line_id in pushed.amounts:
            return InStripe("invoice", pushed.invoice_id or "", "", pushed.state)
        is_own_usage = (line.kind, line.component, line.usage_period) == (
            "usage",
            "usage",
            line.billing_period,
        )
        if is_own_usage and (line.customer_id, line.plan, key[1]) in self.known.metered:
            return InStripe("meter_events")
        return InStripe()


def exported(workshop: Workshop, control: "Engine", days: Collection[date], name: str) -> Iterator[Exported]:
    """Day by day the lines of the invoice periods that bear a name."""
    for day in sorted(days):
        with workshop.engine.session() as session:
            scan(workshop, session, "lines", INVOICE_LINES, [day])
            rows: list[tuple[Any, ...]] = session.rows(
                f"SELECT {', '.join(ExportedLine._fields)} FROM lines "
                f"ORDER BY customer_id, billing_period, currency, {LINE_RANK}, usage_period, plan, charge, term, "
                "rule_version, dimensions, project_id, line_id"
            )
            registry = registry_until(workshop, session, day)
        lines = [line for row in rows if starts_within(name, (line := ExportedLine(*row)).billing_period)]
        if lines:
            known = delivered(control, None, {line.billing_period for line in lines})
            yield Exported(lines, registry, known)


def _credited(notes: Sequence[Credited], line_id: str) -> Credited | None:
    return next((note for note in notes if line_id in note.line_ids), None)
