"""What people do about single meter events: cancel one, send refused ones again, settle one that cannot be decided."""

from collections.abc import Callable

from billing_pipeline.errors import MeterEventError
from billing_pipeline.invoicing.meter_events.meter_outbox import MeterEvent, MeterEventState, MeterOutbox
from billing_pipeline.invoicing.meter_events.port import MeterPort
from billing_pipeline.invoicing.meter_events.unknown_outcome import UNDECIDED
from billing_pipeline.invoicing.push.outbox import Outbox
from billing_pipeline.invoicing.push.sending import Sender

CANCEL_US = 24 * 3_600_000_000
"""Stripe cancels an event within a day of having received it."""
CANCEL_METER_EVENT = "cancel_meter_event"


def cancel_event(
    outbox: MeterOutbox, port: MeterPort, identifier: str, why: str, clock: Callable[[], int]
) -> MeterEvent:
    """Cancel an event in Stripe; its usage is then not billed there, nor by us.

    Raises:
        MeterEventError: it is not delivered, or was delivered more than a day ago.
        StripeError: Stripe refused, failed or is not reachable.
    """
    event = _event(outbox, identifier)
    if event.state is MeterEventState.CANCELLED:
        return event
    if event.state is not MeterEventState.DELIVERED:
        raise MeterEventError(identifier, f"it is {event.state}", "only what is delivered can be cancelled")
    if clock() - event.moved_at >= CANCEL_US:
        raise MeterEventError(
            identifier,
            "it was delivered more than 24 hours ago, Stripe cancels no such event",
            "credit the customer in Stripe instead",
        )
    sender = Sender(Outbox(outbox.engine, outbox.account, clock), clock)
    parameters = {"event_name": event.event_name, "type": "cancel", "cancel": {"identifier": identifier}}

    def call(sent: object, key: str) -> bool:
        port.cancel_event(dict(sent), key)  # type: ignore[call-overload]  # what the outbox has kept
        return True

    sender.send(CANCEL_METER_EVENT, identifier, parameters, call, lambda _request: None)
    return outbox.move(event, MeterEventState.CANCELLED, why)


def plan_refused_again(outbox: MeterOutbox) -> int:
    """Plan every refused event again whose outcome is known; how many were."""
    refused = outbox.in_state(MeterEventState.REFUSED)
    again = [event for event in refused if not event.detail.startswith(UNDECIDED)]
    for event in again:
        outbox.move(event, MeterEventState.PLANNED, "mended, as somebody says")
    return len(again)


def settle_event(outbox: MeterOutbox, identifier: str, why: str, *, counted: bool) -> MeterEvent:
    """Say of an event whose outcome cannot be told what a person has found out about it.

    Raises:
        MeterEventError: its outcome is known.
    """
    event = _event(outbox, identifier)
    if event.state is not MeterEventState.REFUSED or not event.detail.startswith(UNDECIDED):
        raise MeterEventError(
            identifier, f"it is {event.state}", "only what Stripe may or may not have counted is settled"
        )
    state = MeterEventState.DELIVERED if counted else MeterEventState.PLANNED
    return outbox.move(event, state, f"as somebody says: {why}")


def _event(outbox: MeterOutbox, identifier: str) -> MeterEvent:
    event = outbox.event(identifier)
    if event is None:
        raise MeterEventError(
            identifier, f"there is none in {outbox.account}", "see `billing stripe meter-events status`"
        )
    return event
