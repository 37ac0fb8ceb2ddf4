"""Sending meter events so that each counts once: written down first, one at a time per customer and meter.

Stripe knows an identifier again for at least 24 hours. So an event without a known outcome is sent again while its
first request is younger than that; the answer that it is there already means delivered. Later Stripe would count it
twice: then `unknown_outcome` looks at what was counted.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any

from billing_pipeline.contract.instants import instant_text
from billing_pipeline.errors import (
    MeterEventDuplicateError,
    MeterEventTooOldError,
    StripeError,
    StripeRefusedError,
)
from billing_pipeline.invoicing.meter_events.deciding import MOST_AGE_US
from billing_pipeline.invoicing.meter_events.meter_outbox import MeterEvent, MeterEventState, MeterOutbox
from billing_pipeline.invoicing.meter_events.port import MeterPort
from billing_pipeline.invoicing.meter_events.unknown_outcome import UnknownOutcomes, Verdict
from billing_pipeline.invoicing.push.outbox import Outbox
from billing_pipeline.invoicing.push.sending import KEY_LIFE_HOURS, Sender

KNOWN_AGAIN_US = KEY_LIFE_HOURS * 3_600_000_000
"""How long after its first request an event may be sent again: an hour less than what Stripe promises."""
WORKERS = 4
TOO_OLD = "its usage day lies more than 35 days back, Stripe does not take it; bill it by hand (docs/meter-events.md)"
CUSTOMER_UNKNOWN = (
    "Stripe does not know the customer yet: `billing stripe link` names one that has a subscription, "
    "`billing stripe sync` makes one"
)
METER_UNKNOWN = (
    "Stripe has no active meter {name}: `billing stripe sync` makes it; give it a price, then send"
)
MEND = "mend it, then `billing stripe meter-events send --refused`"


@dataclass
class SendReport:
    """What became of the events that were open: their ids by state, and in words why some of them wait or failed."""

    moved: list[MeterEvent] = field(default_factory=list)
    waiting: dict[str, str] = field(default_factory=dict)
    """By identifier; run again, or do what it says."""
    requests_sent: int = 0

    def count(self, state: MeterEventState) -> int:
        """How many events came into a state."""
        return sum(event.state is state for event in self.moved)


def send_meter_events(
    outbox: MeterOutbox,
    port: MeterPort,
    *,
    clock: Callable[[], int],
    sleep: Callable[[float], None] = time.sleep,
    workers: int = WORKERS,
) -> SendReport:
    """Send every open event of the account: a customer's events of one meter one after the other, others beside them.

    Args:
        outbox: what is planned.
        port: Stripe or the simulator.
        clock: UTC µs.
        sleep: waits so many seconds before a request is tried again.
        workers: threads.

    Raises:
        MeterEventsBusyError: another process sends now.
        StripeError: the meters cannot be read, so nothing was sent.
    """
    with outbox.one_sender():
        by_meter = sorted(outbox.open_events(), key=_METER)  # stable: within a meter the ids stay in order
        if not by_meter:
            return SendReport()
        reading = Sender(Outbox(outbox.engine, outbox.account, clock), clock, sleep)
        # Stripe may take an event of no meter, and report much later that it did not count.
        meters = {each.event_name: each.meter_id for each in reading.read(port.meters) if each.is_active}
        sending = _Sending(outbox, port, clock, sleep, meters)
        chains = [list(chain) for _, chain in groupby(by_meter, _METER)]
        with ThreadPoolExecutor(workers, "meter-events") as pool:
            reports = list(pool.map(sending.chain, chains))
    return SendReport(
        moved=[event for report in reports for event in report.moved],
        waiting={key: why for report in reports for key, why in report.waiting.items()},
        requests_sent=sum(report.requests_sent for report in reports),
    )


_METER = attrgetter("customer_id", "event_name")


@dataclass(frozen=True)
class _Sending:
    outbox: MeterOutbox
    port: MeterPort
    clock: Callable[[], int]
    sleep: Callable[[float], None]
    meters: Mapping[str, str]
    """Ids of the active meters, by event name."""

    def chain(self, events: Sequence[MeterEvent]) -> SendReport:
        """One customer's events of one meter, in order, up to the first whose outcome stays open."""
        report = SendReport()
        objects = Outbox(self.outbox.engine, self.outbox.account, self.clock)
        sender = Sender(objects, self.clock, self.sleep)
        customer = objects.stripe_id("customer", events[0].customer_id)
        unknown = UnknownOutcomes(self.outbox, self.port, sender, self.meters)
        for event in events:
            if customer is None:
                report.waiting[event.identifier] = CUSTOMER_UNKNOWN
                break
            if event.event_name not in self.meters and self.clock() - event.occurred_at < MOST_AGE_US:
                report.waiting[event.identifier] = METER_UNKNOWN.format(name=event.event_name)
                break
            try:
                moved, why = self._one(event, customer, sender, unknown)
            except StripeError as error:
                report.waiting[event.identifier] = f"{error}; run again"
                break
            if why:
                report.waiting[event.identifier] = why
                break
            report.moved.append(moved)
        report.requests_sent = sender.sent
        return report

    def _one(
        self, event: MeterEvent, customer: str, sender: Sender, unknown: UnknownOutcomes
    ) -> tuple[MeterEvent, str]:
        """The event as it is afterwards, and why its outcome is open, or ""."""
        if event.state is MeterEventState.SENT:
            if self.clock() - unknown.first_sent_at(event) < KNOWN_AGAIN_US:
                return self._request(event, customer, sender, is_again=True)
            event = self._as_counted(event, customer, unknown)
        if event.state is MeterEventState.PLANNED:
            return self._first_time(event, customer, sender)
        return event, ""

    def _as_counted(self, event: MeterEvent, customer: str, unknown: UnknownOutcomes) -> MeterEvent:
        verdict, why = unknown.look(event, customer)
        return self.outbox.move(event, _AFTER[verdict], why)

    def _first_time(self, event: MeterEvent, customer: str, sender: Sender) -> tuple[MeterEvent, str]:
        if event.occurred_at > self.clock():
            return event, f"its time {instant_text(event.occurred_at)} has not come yet; run again then"
        if self.clock() - event.occurred_at >= MOST_AGE_US:
            return self.outbox.move(event, MeterEventState.EXPIRED, TOO_OLD), ""
        event = self.outbox.move(event, MeterEventState.SENT)
        return self._request(event, customer, sender, is_again=False)

    def _request(
        self, event: MeterEvent, customer: str, sender: Sender, *, is_again: bool
    ) -> tuple[MeterEvent, str]:
        parameters, key = parameters_of(event, customer), request_key(event)

        def call() -> None:
            sender.sent += 1
            self.port.send_event(parameters, key)

        try:
            sender.read(call)
        except MeterEventDuplicateError:
            return self.outbox.move(event, MeterEventState.DELIVERED, "Stripe had it already"), ""
        except StripeRefusedError as error:
            if (
                is_again
            ):  # an earlier request may have counted: that is looked at when its identifier is forgotten
                return event, f"{error}; whether an earlier request counted is looked up in a day"
            if isinstance(error, MeterEventTooOldError):
                return self.outbox.move(event, MeterEventState.EXPIRED, TOO_OLD), ""
            return self.outbox.move(event, MeterEventState.REFUSED, f"{error}; {MEND}"), ""
        return self.outbox.move(event, MeterEventState.DELIVERED), ""


_AFTER = {
    Verdict.COUNTED: MeterEventState.DELIVERED,
    Verdict.NOT_COUNTED: MeterEventState.PLANNED,
    Verdict.UNDECIDED: MeterEventState.REFUSED,
}


def parameters_of(event: MeterEvent, stripe_customer_id: str) -> dict[str, Any]:
    """What is sent for an event; it follows from its row, so that it is the same every time."""
    return {
        "event_name": event.event_name,
        "identifier": event.identifier,
        "payload": {"stripe_customer_id": stripe_customer_id, "value": str(event.value)},
        "timestamp": event.occurred_at // 1_000_000,
    }


def request_key(event: MeterEvent) -> str:
    """The idempotency key of an event that is `sent`: its identifier, by which error reports name it.

    One that was refused and is sent anew has another, for Stripe may keep the refusal.
    """
    return event.identifier if event.step == 1 else f"{event.identifier}-{event.step}"
