"""A month told to the Stripe simulator through the real SDK, day by day: what it counts and later lines are the usage.

The simulator's clock goes with the story, to years ahead: so the test does not depend on when it runs.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from billing_pipeline.contract.instants import microseconds_of
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.errors import MeterEventDuplicateError, MeterEventError
from billing_pipeline.invoicing.meter_events.acting import cancel_event
from billing_pipeline.invoicing.meter_events.comparing import delivered_by_meter, summaries
from billing_pipeline.invoicing.meter_events.event_name import MeteredCharge
from billing_pipeline.invoicing.meter_events.meter_errors import meter_errors
from billing_pipeline.invoicing.meter_events.meter_outbox import MeterOutbox
from billing_pipeline.invoicing.meter_events.meter_run import MeterRun, planned_partitions, run_meter_events
from billing_pipeline.invoicing.meter_events.sending import parameters_of
from billing_pipeline.invoicing.meter_events.stripe_meters import StripeMeters
from billing_pipeline.invoicing.policies.policy import InvoicingPolicies, InvoicingPolicy
from billing_pipeline.invoicing.push.outbox import Outbox
from billing_pipeline.invoicing.simulator.server import running_simulator
from billing_pipeline.invoicing.stripe.gateway import StripeGateway
from billing_pipeline.invoicing.sync.objects import sync_objects
from billing_pipeline.invoicing.sync.stripe_directory import StripeDirectory
from billing_pipeline.invoicing.sync.sync import StripeSync
from billing_pipeline.metering.registry_relations import registry_of_log
from billing_pipeline.metering.stage import StageResult
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.agreement import midnight

KEY = "sk_test_meters"
FIRST, NOVEMBER = date(2039, 10, 1), date(2039, 11, 1)
DAYS = [FIRST + timedelta(days=number) for number in range(35)] + [date(2039, 11, 30)]
HOUR_US = 3_600_000_000
METERED = InvoicingPolicies(by_plan={"standard": InvoicingPolicy(delivery="meter_events")})
CALLS = MeteredCharge("standard", "tool_calls", "tool_calls", '{"tool":"web_search"}')
SECONDS = MeteredCharge("standard", "compute", "compute_seconds", '{"machine":"small"}')


class Killed(BaseException):
    """Stands for kill -9: nothing of ours may swallow it."""


class KilledAfter(StripeMeters):
    """Dies once, when Stripe has taken an event and before anything is written of it."""

    due = True

    def send_event(self, parameters: Mapping[str, Any], idempotency_key: str) -> None:
        super().send_event(parameters, idempotency_key)
        if self.due:
            self.due = False
            raise Killed


@pytest.fixture(scope="module")
def month(
    *,
    new_pipeline: Callable[[], Pipeline],
    usage: Callable[..., LogRecord],
    correction: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
    close: Callable[[Pipeline, Sequence[date]], StageResult],
) -> Pipeline:
    def calls(event_id: str, day: str, quantity: str, customer_id: str = "acme") -> LogRecord:
        fields = {"unit": "call", "dimensions": {"tool": "web_search"}, "quantity": quantity}
        return usage(event_id, f"{day}T10:00:00Z", customer_id=customer_id, **fields)

    def seconds(event_id: str, day: str, quantity: str) -> LogRecord:
        fields = {"unit": "second", "dimensions": {"machine": "small"}, "quantity": quantity}
        return usage(event_id, f"{day}T10:00:00Z", **fields)

    pipeline = new_pipeline()
    customers = [registered(name, plan="standard") for name in ("acme", "beta", "ghost")]
    log = [("2039-10-01T01:30:00Z", record) for records in customers for record in records]
    log += [
        ("2039-10-02T10:00:00Z", calls("a1", "2039-10-02", "10")),
        ("2039-10-02T10:00:00Z", seconds("a2", "2039-10-02", "0.6")),
        ("2039-10-02T10:00:00Z", calls("b1", "2039-10-02", "20", "beta")),
        ("2039-10-02T10:00:00Z", calls("g1", "2039-10-02", "3", "ghost")),
        ("2039-10-05T10:00:00Z", calls("a3", "2039-10-03", "7")),  # late, within the period
        ("2039-10-05T10:00:00Z", seconds("a4", "2039-10-03", "0.7")),
        ("2039-10-09T10:00:00Z", correction("c1", "a3", "2039-10-09T10:00:00Z")),
        ("2039-10-31T10:00:00Z", calls("a5", "2039-10-31", "100")),
        ("2039-11-02T10:00:00Z", calls("a6", "2039-10-30", "5")),  # after the period's end
        ("2039-11-03T10:00:00Z", correction("c2", "a1", "2039-11-03T10:00:00Z")),
    ]
    receive(pipeline, log)
    close(pipeline, DAYS)
    return pipeline


class Story:
    """The pipeline, the simulator and one time for both."""

    def __init__(self, pipeline: Pipeline, gateway: StripeGateway, address: str) -> None:
        self.pipeline, self.gateway, self.address = pipeline, gateway, address
        self.account = gateway.account()
        self.now = 0
        self.port = StripeMeters(gateway)
        self.outbox = MeterOutbox(pipeline.control, self.account, self.clock)

    def clock(self) -> int:
        return self.now

    def advance(self, day: date, hours: int = 1) -> None:
        """To some hours after a day's end; the simulator's clock goes on by ten years at most at once."""
        self.now = microseconds_of(midnight(day)) + (24 + hours) * HOUR_US
        for seconds in (microseconds_of(midnight(date(2034, 1, 1))) // 1_000_000, self.now // 1_000_000):
            self._advance_to(seconds)

    def _advance_to(self, seconds: int) -> None:
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-www-form-urlencoded"}
        with urlopen(Request(f"{self.address}/simulator/clock", headers=headers)) as answer:  # noqa: S310 - ours
            there = json.load(answer)["now"]
        if there < seconds:
            body = f"advance_seconds={seconds - there}".encode()
            with urlopen(Request(f"{self.address}/simulator/clock", body, headers)):  # noqa: S310 - ours
                pass

    def sync(self) -> None:
        with self.pipeline.engine.session() as session:
            registry = registry_of_log(self.pipeline.workshop, session)
        objects = sync_objects(registry, self.pipeline.books, METERED, [CALLS, SECONDS])
        wanted = [each for each in objects if each.our_key != "ghost"]
        port = StripeDirectory(self.gateway)
        sync = StripeSync(self.pipeline.control, port, self.account, self.clock, lambda _seconds: None)
        assert {each.action for each in sync.run(wanted)} == {"created"}
        assert {each.action for each in sync.run(wanted, compare=True)} == {"unchanged"}

    def run(self, day: date, port: StripeMeters | None = None) -> MeterRun:
        self.advance(day)
        run = run_meter_events(
            self.pipeline.workshop,
            self.pipeline.control,
            METERED,
            port or self.port,
            [day],
            clock=self.clock,
            sleep=lambda _seconds: None,
        )
        kept = planned_partitions(self.pipeline.workshop, run.planned)
        self.pipeline.record(kept, watermark=self.now, run_id="test")
        return run


@contextmanager
def _story(pipeline: Pipeline, folder: Path) -> Iterator[Story]:
    with running_simulator(folder / "simulator.sqlite") as address:
        gateway = StripeGateway(KEY, address)
        try:
            yield Story(pipeline, gateway, address)
        finally:
            gateway.close()


def test_a_month_in_stripe_adds_up(
    month: Pipeline, tmp_path: Path, rows: Callable[..., list[tuple[Any, ...]]]
) -> None:
    """Late usage, corrections on both sides of the period's end, decimals, a kill, repeated runs, an error report."""
    with _story(month, tmp_path) as story:
        story.advance(FIRST)
        story.sync()
        Outbox(month.control, story.account, story.clock).remember("customer", "ghost", "cus_missing")
        with pytest.raises(Killed):
            story.run(date(2039, 10, 2), KilledAfter(story.gateway))
        for day in DAYS:
            if day >= date(2039, 10, 2):
                for _ in range(2 if day.day < 6 else 1):
                    assert story.run(day).faults == []
        by_customer = {
            (each.key.customer_id, each.key.meter): each
            for each in delivered_by_meter(month.control, story.account)
        }
        calls, seconds = by_customer["acme", "tool_calls"], by_customer["acme", "compute_seconds"]
        ghost = by_customer["ghost", "tool_calls"]
        assert (calls.delivered, seconds.delivered, ghost.delivered, ghost.expected) == (110, 1, 3, 0)
        assert [error.code for error in meter_errors(story.outbox)] == ["meter_event_customer_not_found"]
        known = [each for each in by_customer.values() if each.key.customer_id != "ghost"]
        counted = summaries(month.control, story.account, story.port, known)
        assert [counted[each.key] for each in known] == [each.expected for each in known]
        (usage,) = rows(
            month,
            "SELECT sum(quantity) FROM usage_rollups WHERE customer_id = 'acme' AND meter = 'tool_calls'",
        )[0]
        (adjusted,) = rows(
            month,
            "SELECT sum(quantity - quantity_before) FROM invoice_lines WHERE customer_id = 'acme' "
            "AND billing_period = DATE '2039-11-01' AND usage_period = DATE '2039-10-01' AND meter = 'tool_calls'",
        )[0]
        assert (usage, adjusted, counted[calls.key]) == (Decimal(105), Decimal(-5), Decimal(110))
        # Stripe refuses an identifier that it knows; what is cancelled is taken off.
        last = next(each for each in story.outbox.of_period() if each.usage_day == date(2039, 10, 31))
        story.advance(date(2039, 11, 30), 2)
        extra = parameters_of(last, "cus_missing") | {"identifier": "extra"}
        story.port.send_event(extra, "extra-1")
        with pytest.raises(MeterEventDuplicateError):
            story.port.send_event(extra, "extra-2")
        with pytest.raises(MeterEventError, match="more than 24 hours ago"):
            cancel_event(story.outbox, story.port, last.identifier, "a test", story.clock)
