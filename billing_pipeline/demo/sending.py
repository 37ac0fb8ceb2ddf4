"""What the demo sends: a record with its receipt time and what must become of it; how an event is written."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from billing_pipeline.contract.instants import instant_text, microseconds_of
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.parsing import parse
from billing_pipeline.contract.reason_codes import CorrectionOutcome, RejectionCode
from billing_pipeline.contract.registry import RegistryChange, control_record
from billing_pipeline.demo.customers import CLOSED_AT, CLOSING, CUSTOMERS, OPENS_AT, Customer

DAYS = 31
MONTH_START = datetime(2026, 10, 1, tzinfo=UTC)

Event = dict[str, object]
"""A usage event or a correction, as it is written in JSON."""


@dataclass(frozen=True)
class DemoRecord:
    """One record as it is received.

    `kind` is the expected outcome: `valid` and `late` (counted and billed), `not_billable` (counted),
    `duplicate`, `conflict`, `control`, `correction:<outcome>`, or `rejected:<reason code>`. `story` says why it was
    sent. A control record has a `change` and no payload; every other one has a payload, and `event` where
    that was written from one.
    """

    received_at: datetime
    payload: bytes
    kind: str
    story: str
    event: Event | None = None
    change: RegistryChange | None = None

    def log_record(self, position: int) -> LogRecord:
        """The record for the queue; `position`, its place in the company's log, names a control record."""
        if self.change is not None:
            return control_record(self.change, f"demo-{position}")
        return parse(self.payload)


def written(event: Event) -> bytes:
    """The event as JSON, in the order of its fields."""
    return msgspec.json.encode(event)


def sent(event: Event, received_at: datetime, kind: str, story: str) -> DemoRecord:
    """The event as one record."""
    return DemoRecord(received_at, written(event), kind, story, event)


def corrected(outcome: CorrectionOutcome) -> str:
    """The kind of a correction with an outcome."""
    return f"correction:{outcome.value}"


def rejected(code: RejectionCode) -> str:
    """The kind of a record that is rejected with a reason code."""
    return f"rejected:{code.value}"


def text(instant: datetime) -> str:
    """An instant as events write it: UTC, six fractional digits."""
    return instant_text(microseconds_of(instant))


@dataclass(frozen=True)
class Work:
    """Something a customer does: in which project and when (UTC)."""

    customer: Customer
    project: str
    occurred_at: datetime


def usage(source: str, name: str, work: Work, unit: str, quantity: str | int, **fields: object) -> Event:
    """A usage event; `fields` are those that not every event has, or that replace one."""
    event: Event = {
        "id": name,
        "source": source,
        "type": "usage",
        "schema_version": 2,
        "customer_id": work.customer.customer_id,
        "project_id": work.project,
        "occurred_at": text(work.occurred_at),
        "emitted_at": text(work.occurred_at + timedelta(milliseconds=40)),
        "unit": unit,
        "quantity": quantity,
        "correlation_id": name.rpartition(".")[0] or name,
    }
    return event | fields


class Chance:
    """Seeded chance for one story, so that a change of one story leaves the others as they are."""

    def __init__(self, seed: int, story: str) -> None:
        self.random = random.Random(f"{seed}/{story}")  # noqa: S311 - a simulation, no secret

    def customer(self) -> Customer:
        """A customer, the busier ones more often."""
        return self.random.choices(CUSTOMERS, [customer.busyness for customer in CUSTOMERS])[0]

    def work(self, first_day: int = 0, days: int = DAYS) -> Work:
        """Some customer's work in one of its projects, at some `instant`."""
        customer = self.customer()
        project = self.random.choice(customer.projects)
        return Work(customer, project, self.instant(customer, first_day, days))

    def instant(self, customer: Customer, first_day: int = 0, days: int = DAYS) -> datetime:
        """An instant (ms) in one of `days` days from `first_day` (0-based) on which the customer is open.

        It is not before the opening, noon is busiest, and six minutes are left before midnight.
        """
        if customer is CLOSING:
            days = min(days, (CLOSED_AT - MONTH_START).days - first_day)
        day = first_day + self.random.randrange(days)
        millisecond = int(self.random.triangular(0, 86_040, 50_000) * 1000)
        return max(MONTH_START + timedelta(days=day, milliseconds=millisecond), OPENS_AT)

    def soon_after(self, instant: datetime) -> datetime:
        """When an event that occurred at `instant` is received if nothing goes wrong (µs)."""
        return instant + timedelta(microseconds=self.random.randrange(80_000, 4_000_000))

    def hours_after(self, instant: datetime, least: int, most: int) -> datetime:
        """An instant `least` to `most` hours later."""
        return instant + timedelta(seconds=self.random.randrange(least * 3600, most * 3600))
