"""Whether Stripe has counted an event whose outcome is open and whose identifier it may have forgotten.

What Stripe has counted of the customer's day is set beside what is known to be delivered of it. Events of one customer
and meter go out one at a time, so there is one open event at most, and the difference is either nothing or its value.
"""

from collections.abc import Mapping
from datetime import timedelta
from enum import Enum

from sqlalchemy import func, select

from billing_pipeline.control.invoice_tables import STRIPE_METER_ERRORS, STRIPE_METER_EVENT_TRANSITIONS
from billing_pipeline.invoicing.meter_events.meter_outbox import MeterEvent, MeterEventState, MeterOutbox
from billing_pipeline.invoicing.meter_events.port import MeterPort
from billing_pipeline.invoicing.push.sending import Sender

UNDECIDED = "whether Stripe counted it cannot be told"


class Verdict(Enum):
    """What the summaries say."""

    COUNTED = "counted"
    NOT_COUNTED = "not counted"
    UNDECIDED = "undecided"


class UnknownOutcomes:
    """Decides over one outbox and one Stripe account; `meters` are the ids of active ones by event name."""

    def __init__(
        self, outbox: MeterOutbox, port: MeterPort, sender: Sender, meters: Mapping[str, str]
    ) -> None:
        self._outbox = outbox
        self._port = port
        self._sender = sender
        self._meters = meters

    def first_sent_at(self, event: MeterEvent) -> int:
        """When the first request since it was last planned may have gone out, UTC µs."""
        steps = STRIPE_METER_EVENT_TRANSITIONS
        planned = (
            select(func.max(steps.c.step))
            .where(steps.c.meter_event_id == event.id, steps.c.state == MeterEventState.PLANNED)
            .scalar_subquery()
        )
        query = select(func.min(steps.c.recorded_at)).where(
            steps.c.meter_event_id == event.id,
            steps.c.state == MeterEventState.SENT,
            steps.c.step > planned,
        )
        with self._outbox.engine.connect() as connection:
            found: int | None = connection.execute(query).scalar()
        return event.moved_at if found is None else found

    def look(self, event: MeterEvent, stripe_customer_id: str) -> tuple[Verdict, str]:
        """What Stripe has done with the event, and what that rests on.

        Raises:
            StripeError: it cannot be read.
        """
        meter_id = self._meters.get(event.event_name)
        if meter_id is None:
            return Verdict.UNDECIDED, _undecided(event, f"there is no active meter {event.event_name}")
        delivered = sum(
            each.value
            for each in self._outbox.of_day(event.customer_id, event.event_name, event.usage_day)
            if each.state is MeterEventState.DELIVERED and not self._is_reported(each)
        )
        counted = self._sender.read(
            lambda: self._port.summaries(
                meter_id, stripe_customer_id, event.usage_day, event.usage_day + timedelta(days=1)
            )
        ).get(event.usage_day, 0)
        told = f"Stripe has {counted} on {event.usage_day}, of which {delivered} from other events"
        if counted == delivered + event.value:
            return Verdict.COUNTED, told
        if counted == delivered:
            return Verdict.NOT_COUNTED, told
        return Verdict.UNDECIDED, _undecided(event, told)

    def _is_reported(self, event: MeterEvent) -> bool:
        table = STRIPE_METER_ERRORS
        query = select(func.count()).where(
            table.c.account == self._outbox.account, table.c.identifier == event.identifier
        )
        with self._outbox.engine.connect() as connection:
            return bool(connection.execute(query).scalar())


def _undecided(event: MeterEvent, told: str) -> str:
    return (
        f"{UNDECIDED}: {told}, and its value is {event.value}. Look at the meter's events in Stripe, then say "
        f"`billing stripe meter-events settle {event.identifier} --counted --why …` or `--not-counted`"
    )
