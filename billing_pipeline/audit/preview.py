"""The invoice of a running period as it would be now, by the same code; computed on a lake over the lake.

What has been received and not been closed is metered there, so nothing of it is a fact before its day closes.
"""

from dataclasses import dataclass, replace
from datetime import date

from billing_pipeline.errors import UnknownCustomerError
from billing_pipeline.invoicing.lines.rating_stage import list_invoice_lines, rate
from billing_pipeline.lake.overlay import OverlaidLake
from billing_pipeline.metering.calendar import days_between
from billing_pipeline.metering.control_records import separate_registry_changes
from billing_pipeline.metering.identity import identify
from billing_pipeline.metering.registry_relations import registry_until
from billing_pipeline.metering.rollups import list_unmetered, roll_up, versions_found
from billing_pipeline.metering.stage import Workshop
from billing_pipeline.metering.validation import validate
from billing_pipeline.rating.periods import period_end, period_start


@dataclass(frozen=True)
class Preview:
    """A running invoice period.

    Attributes:
        start: its first posting day.
        end: its last one.
        open_days: days that have not been closed, whose records were metered for the preview.
        workshop: where its lines stand, in `invoice_lines`, and in `blocked_invoices` what holds it back.
    """

    start: date
    end: date
    open_days: tuple[date, ...]
    workshop: Workshop


def preview(
    workshop: Workshop, scratch: OverlaidLake, customer_id: str, first_open: date, today: date
) -> Preview:
    """Rate a customer's running invoice period by what has been landed.

    Args:
        workshop: the lake, the rules and the registry; its engine's scratch should lie apart from the home.
        scratch: over the workshop's lake; what is computed lies there.
        customer_id: whose.
        first_open: the first day that has not been closed.
        today: the day that is open now.

    Raises:
        UnknownCustomerError: the customer is not registered.
    """
    over = replace(workshop, lake=scratch)
    open_days = days_between(first_open, today)
    if open_days:
        separate_registry_changes(over, open_days)
        validate(over, open_days)
        identify(over, open_days)
        roll_up(over, versions_found(over, open_days))
        list_unmetered(over, open_days)
    with over.engine.session() as session:
        registry = registry_until(over, session, today)
    known = registry.known_customers()
    if customer_id not in known:
        raise UnknownCustomerError(customer_id, known)
    anchor_day = registry.anchor_day(customer_id)
    start = period_start(today, anchor_day)
    end = period_end(start, anchor_day)
    rate(over, [end], {customer_id})
    list_invoice_lines(over, [end])
    return Preview(start, end, tuple(open_days), over)
