"""The meter events of some posting days, from the rollups into Stripe: planned, sent, and errors read back."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import Engine

from billing_pipeline.errors import StripeError
from billing_pipeline.invoicing.meter_events.meter_errors import read_back_errors
from billing_pipeline.invoicing.meter_events.meter_outbox import MeterEventState, MeterOutbox
from billing_pipeline.invoicing.meter_events.meter_stage import METER_EVENTS, MeterStage, days_to_plan
from billing_pipeline.invoicing.meter_events.planned_events import PlannedMeterEvent
from billing_pipeline.invoicing.meter_events.port import MeterPort
from billing_pipeline.invoicing.meter_events.sending import SendReport, send_meter_events
from billing_pipeline.invoicing.policies.policy import InvoicingPolicies
from billing_pipeline.invoicing.push.outbox import Outbox
from billing_pipeline.invoicing.push.sending import Sender
from billing_pipeline.metering.stage import Partition, StageResult, Workshop
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.schemas.tables import USAGE_ROLLUPS

Planned = Mapping[date, Sequence[PlannedMeterEvent]]


@dataclass
class MeterRun:
    """What a run did: the events of each day, what became of those that were open, errors that Stripe reports."""

    planned: Planned
    sent: SendReport = field(default_factory=SendReport)
    new_errors: int = 0
    unanswered: str = ""
    """Why Stripe's meters or errors could not be read, or ""."""

    @property
    def faults(self) -> list[str]:
        """What did not reach Stripe, in words: first what a person has to mend."""
        refused = [
            f"{each.customer_id} {each.event_name}: {each.detail}"
            for each in self.sent.moved
            if each.state in (MeterEventState.REFUSED, MeterEventState.EXPIRED)
        ]
        return [*refused, *dict.fromkeys(self.sent.waiting.values()), *filter(None, [self.unanswered])]


def run_meter_events(
    workshop: Workshop,
    control: Engine,
    policies: InvoicingPolicies,
    port: MeterPort,
    days: Sequence[date],
    *,
    clock: Callable[[], int],
    sleep: Callable[[float], None] = time.sleep,
) -> MeterRun:
    """Plan the days (and closed ones before them that were not planned), send what is open, read errors back.

    Args:
        workshop: rollups, registry and rules.
        control: the control database.
        policies: how plans are delivered.
        port: Stripe or the simulator.
        days: closed posting days.
        clock: UTC µs.
        sleep: waits so many seconds before a request is tried again.

    Raises:
        MeterEventChangedError: a day would tell something else than it has.
        MeterEventsBusyError: another process sends now.
        StripeError: the account cannot be read, so nothing was planned.
    """
    sender = Sender(Outbox(control, "", clock), clock, sleep)
    outbox = MeterOutbox(control, sender.read(port.account), clock)
    stage = MeterStage(workshop, outbox, policies, clock)
    run = MeterRun(stage.plan(days_to_plan(control, days, clock())))
    try:
        run.sent = send_meter_events(outbox, port, clock=clock, sleep=sleep)
        run.new_errors = read_back_errors(outbox, port, sender, clock())
    except StripeError as error:
        run.unanswered = f"{error}; run again"
    return run


def planned_partitions(workshop: Workshop, planned: Planned) -> StageResult:
    """What is to be kept of days that have been planned, also where there was nothing to plan."""
    snapshot = workshop.lake.snapshot(USAGE_ROLLUPS)
    partitions = tuple(
        Partition(METER_EVENTS, PartitionKey(day), len(events), _hash(events))
        for day, events in sorted(planned.items())
    )
    return StageResult(partitions, {USAGE_ROLLUPS.name: snapshot}, {METER_EVENTS: snapshot})


def _hash(events: Sequence[PlannedMeterEvent]) -> str:
    lines = sorted(f"{event.identifier} {event.value}\n" for event in events)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
