"""What metered lines come to, and what became of their events: read from the lake, the outbox and Stripe."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from billing_pipeline.audit.invoice_reconciliation.comparison import Compared, EndedPeriod
from billing_pipeline.audit.invoice_reconciliation.delivered import Delivered
from billing_pipeline.audit.invoice_reconciliation.metered_quantities import MeteredLine, metered_quantities
from billing_pipeline.invoicing.meter_events.comparing import (
    DeliveredUsage,
    MeteredKey,
    delivered_by_meter,
    summaries,
)
from billing_pipeline.invoicing.meter_events.port import MeterPort
from billing_pipeline.invoicing.push.sending import Sender
from billing_pipeline.metering.stage import Workshop, scan
from billing_pipeline.schemas.tables import INVOICE_LINES

if TYPE_CHECKING:
    from sqlalchemy import Engine

READ_AT_ONCE = 100
_LINES = """
SELECT customer_id, plan, charge, meter, dimensions, unit, CAST(sum(quantity) AS DECIMAL(38, 9)), billing_period
FROM lines
WHERE kind = 'usage' AND component = 'usage' AND usage_period = billing_period AND term <> 'trial'
GROUP BY customer_id, plan, charge, meter, dimensions, unit, billing_period
"""


@dataclass(frozen=True)
class MeteredBooks:
    """Reads what is needed of one account.

    Attributes:
        sender: asks Stripe again where that helps.
        blocked: customers whose invoice is held back: they have no lines.
        clock: UTC µs.
    """

    workshop: Workshop
    control: "Engine"
    account: str
    sender: Sender
    blocked: Collection[str]
    clock: Callable[[], int]

    def compared(
        self,
        day: date,
        periods: Mapping[str, EndedPeriod],
        known: Delivered,
        meters: Callable[[], MeterPort],
    ) -> Iterator[Compared]:
        """The rows of the periods that end on a day; Stripe is asked only where there are events.

        Raises:
            StripeError: Stripe cannot be read.
        """
        usage = [
            each
            for start in sorted({period.start for period in periods.values()})
            for each in delivered_by_meter(self.control, self.account, start)
            if each.key.customer_id in periods and periods[each.key.customer_id].start == start
        ]
        if not usage and not known.metered:
            return
        lines = self._lines(day, periods, known)
        counted = self._counted(usage, meters()) if usage else {}
        for row in metered_quantities(periods, lines, usage, counted, self.clock()):
            # Without lines there is nothing to compare the events with until the invoice is mended.
            if not (
                row.period.customer_id in self.blocked and row.cause == "unexplained" and not row.expected
            ):
                yield row

    def _lines(self, day: date, periods: Mapping[str, EndedPeriod], known: Delivered) -> list[MeteredLine]:
        with self.workshop.engine.session() as session:
            scan(self.workshop, session, "lines", INVOICE_LINES, [day])
            rows: list[tuple[Any, ...]] = session.rows(_LINES)
        return [
            MeteredLine(*row)
            for *row, start in rows
            if row[0] in periods and (row[0], row[1], start.isoformat()) in known.metered
        ]

    def _counted(self, usage: list[DeliveredUsage], port: MeterPort) -> dict[MeteredKey, Decimal | None]:
        found: dict[MeteredKey, Decimal | None] = {}
        for start in range(0, len(usage), READ_AT_ONCE):
            some = usage[start : start + READ_AT_ONCE]
            found |= self.sender.read(lambda some=some: summaries(self.control, self.account, port, some))  # type: ignore[misc]  # bound at once
        return found
