"""What was delivered of each customer's usage, and what Stripe says it has counted: for reconciliation to compare.

Both sides are by customer, meter and billing period; nothing is written here.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Engine

from billing_pipeline.errors import StripeError
from billing_pipeline.invoicing.meter_events.meter_errors import meter_errors
from billing_pipeline.invoicing.meter_events.meter_outbox import MeterEvent, MeterEventState, MeterOutbox
from billing_pipeline.invoicing.meter_events.port import MeterPort
from billing_pipeline.invoicing.push.outbox import Outbox


class MeteredKey(NamedTuple):
    """What Stripe counts apart, within a billing period. `dimensions` is canonical JSON text."""

    customer_id: str
    billing_period: date
    plan: str
    charge: str
    meter: str
    dimensions: str
    event_name: str


@dataclass(frozen=True, kw_only=True)
class DeliveredUsage:
    """Whole units by what became of them; their sum is what was planned.

    Attributes:
        delivered: Stripe has taken it; `reported` of it could not be counted, as Stripe reports since.
        waiting: planned, or sent without a known outcome.
        newest_at: when the newest event was delivered, UTC µs; Stripe counts a while after that. 0 for none.
        first_day: of usage.
        last_day: of usage.
    """

    key: MeteredKey
    delivered: int = 0
    reported: int = 0
    waiting: int = 0
    expired: int = 0
    refused: int = 0
    cancelled: int = 0
    newest_at: int = 0
    first_day: date
    last_day: date

    @property
    def planned(self) -> int:
        """What was to be told to Stripe: the usage's whole units."""
        return self.delivered + self.waiting + self.expired + self.refused + self.cancelled

    @property
    def expected(self) -> int:
        """What Stripe should have counted."""
        return self.delivered - self.reported


def delivered_by_meter(
    control: Engine, account: str, billing_period: date | None = None
) -> list[DeliveredUsage]:
    """What became of the events of a billing period (its start), or of all, in the order of their keys.

    Args:
        control: the control database.
        account: from `StripePort.account`.
        billing_period: its start; None for all of them.
    """
    outbox = MeterOutbox(control, account, _no_clock)
    reported = {error.identifier for error in meter_errors(outbox)}
    by_key: dict[MeteredKey, list[MeterEvent]] = {}
    for event in outbox.of_period(billing_period):
        by_key.setdefault(_key(event), []).append(event)
    return [_delivered(key, events, reported) for key, events in sorted(by_key.items())]


def summaries(
    control: Engine, account: str, port: MeterPort, usage: Iterable[DeliveredUsage]
) -> dict[MeteredKey, Decimal | None]:
    """What Stripe has counted for each on the days of its usage; None where it has no such customer or meter.

    Raises:
        StripeError: they cannot be read.
    """
    objects = Outbox(control, account, _no_clock)
    # An inactive meter still answers for what it has counted; of several the active one counts.
    meters = {
        meter.event_name: meter.meter_id for meter in sorted(port.meters(), key=lambda each: each.is_active)
    }
    found: dict[MeteredKey, Decimal | None] = {}
    for each in usage:
        customer, meter = objects.stripe_id("customer", each.key.customer_id), meters.get(each.key.event_name)
        found[each.key] = None
        if customer is not None and meter is not None:
            by_day = port.summaries(meter, customer, each.first_day, each.last_day + timedelta(days=1))
            found[each.key] = sum(by_day.values(), Decimal())
    return found


def _delivered(
    key: MeteredKey, events: Collection[MeterEvent], reported: Collection[str | None]
) -> DeliveredUsage:
    sums: Mapping[MeterEventState, int] = {
        state: sum(event.value for event in events if event.state is state) for state in MeterEventState
    }
    delivered = [event for event in events if event.state is MeterEventState.DELIVERED]
    return DeliveredUsage(
        key=key,
        delivered=sums[MeterEventState.DELIVERED],
        reported=sum(event.value for event in delivered if event.identifier in reported),
        waiting=sums[MeterEventState.PLANNED] + sums[MeterEventState.SENT],
        expired=sums[MeterEventState.EXPIRED],
        refused=sums[MeterEventState.REFUSED],
        cancelled=sums[MeterEventState.CANCELLED],
        newest_at=max((event.moved_at for event in delivered), default=0),
        first_day=min(event.usage_day for event in events),
        last_day=max(event.usage_day for event in events),
    )


def _key(event: MeterEvent) -> MeteredKey:
    return MeteredKey(
        event.customer_id,
        event.billing_period,
        event.plan,
        event.charge,
        event.meter,
        event.dimensions,
        event.event_name,
    )


def _no_clock() -> int:
    raise StripeError("compare", "nothing is written here")
