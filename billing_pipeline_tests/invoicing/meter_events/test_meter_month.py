"""Two customers' months told to Stripe day by day: what it counts and the adjustments afterwards are the usage.

acme has calendar months, beta's periods start on the 15th. Calls are whole, seconds of compute are not. Usage comes
late and is corrected before and after the period's end; the policy changes on 20 October, which acts from the next
periods on.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from threading import Thread
from typing import Any

import pytest

from billing_pipeline.contract.instants import microseconds_of
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.control.database import open_control
from billing_pipeline.invoicing.meter_events.comparing import delivered_by_meter, summaries
from billing_pipeline.invoicing.meter_events.event_name import MeteredCharge, event_name
from billing_pipeline.invoicing.meter_events.meter_outbox import MeterOutbox
from billing_pipeline.invoicing.meter_events.meter_run import MeterRun, planned_partitions, run_meter_events
from billing_pipeline.invoicing.meter_events.meter_stage import anything_metered
from billing_pipeline.invoicing.policies.policy import InvoicingPolicies, InvoicingPolicy
from billing_pipeline.invoicing.push.outbox import Outbox
from billing_pipeline.metering.stage import Partition, StageResult
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.agreement import midnight
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline_tests.invoicing.meter_events.fake_meters import ACCOUNT, HOUR_US, FakeMeters

FIRST, SWITCH, LAST = date(2026, 10, 1), date(2026, 10, 20), date(2026, 11, 30)
DAYS = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]
METERED = InvoicingPolicies(by_plan={"standard": InvoicingPolicy(delivery="meter_events")})
NEITHER = InvoicingPolicies()


CALLS = MeteredCharge("standard", "tool_calls", "tool_calls", '{"tool":"web_search"}')
SECONDS = MeteredCharge("standard", "compute", "compute_seconds", '{"machine":"small"}')


class Killed(BaseException):
    """Stands for kill -9: nothing of ours may swallow it."""


@pytest.fixture(scope="module")
def months(
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

    def seconds(event_id: str, day: str, quantity: str, customer_id: str = "acme") -> LogRecord:
        fields = {"unit": "second", "dimensions": {"machine": "small"}, "quantity": quantity}
        return usage(event_id, f"{day}T10:00:00Z", customer_id=customer_id, **fields)

    log = [
        *(("2026-10-01T01:30:00Z", record) for record in registered("acme", plan="standard")),
        *(("2026-10-01T01:30:00Z", record) for record in registered("beta", plan="standard", anchor_day=15)),
        ("2026-10-02T10:00:00Z", calls("a1", "2026-10-02", "10")),
        ("2026-10-02T10:00:00Z", seconds("a2", "2026-10-02", "0.6")),
        ("2026-10-05T10:00:00Z", calls("a3", "2026-10-05", "7")),
        ("2026-10-05T10:00:00Z", seconds("a4", "2026-10-05", "0.7")),
        ("2026-10-06T10:00:00Z", calls("a5", "2026-10-03", "4")),  # late, within the period
        ("2026-10-06T10:00:00Z", seconds("a6", "2026-10-03", "0.25")),
        ("2026-10-09T10:00:00Z", correction("c1", "a3", "2026-10-09T10:00:00Z")),  # within the period
        ("2026-10-14T10:00:00Z", calls("b1", "2026-10-14", "100", "beta")),
        ("2026-10-15T10:00:00Z", calls("b2", "2026-10-15", "200", "beta")),
        ("2026-10-16T02:00:00Z", calls("b3", "2026-10-14", "5", "beta")),  # after the period's end
        ("2026-10-25T10:00:00Z", calls("a7", "2026-10-25", "1")),
        ("2026-11-02T10:00:00Z", calls("a8", "2026-10-30", "3")),  # after the period's end
        ("2026-11-02T10:00:00Z", seconds("a9", "2026-10-31", "2.5")),
        ("2026-11-03T10:00:00Z", correction("c2", "a1", "2026-11-03T10:00:00Z")),
        ("2026-11-04T10:00:00Z", calls("a10", "2026-11-04", "50")),
        ("2026-11-16T10:00:00Z", calls("b4", "2026-11-16", "9", "beta")),
    ]
    pipeline = new_pipeline()
    receive(pipeline, log)
    close(pipeline, DAYS)
    return pipeline


class Story:
    """A control database and a Stripe of its own; every day is planned and sent an hour after its end."""

    def __init__(self, pipeline: Pipeline, url: str) -> None:
        self.pipeline = pipeline
        self.control = open_control(url)
        self.now = 0
        self.new_stripe()
        self.outbox = MeterOutbox(self.control, ACCOUNT, lambda: self.now)
        for customer_id in ("acme", "beta"):
            Outbox(self.control, ACCOUNT, lambda: self.now).remember(
                "customer", customer_id, f"cus_{customer_id}"
            )

    def new_stripe(self) -> None:
        """Another account, with the meters and nothing in them."""
        self.stripe = FakeMeters(lambda: self.now)
        self.stripe.names = {event_name(CALLS), event_name(SECONDS)}

    def run(self, *days: date, policies: InvoicingPolicies = METERED) -> MeterRun:
        """Told after the last of the days has closed."""
        self.now = microseconds_of(midnight(max(days))) + 25 * HOUR_US
        run = run_meter_events(
            self.pipeline.workshop,
            self.control,
            policies,
            self.stripe,
            days,
            clock=lambda: self.now,
            sleep=lambda _seconds: None,
        )
        self.keep(run)
        return run

    def keep(self, run: MeterRun) -> None:
        kept = planned_partitions(self.pipeline.workshop, run.planned)
        self.pipeline.control = self.control
        self.pipeline.record(kept, watermark=self.now, run_id="test")

    def counted(self, customer_id: str, first: date, until: date, word: str) -> int:
        """What Stripe has counted of a customer's days by the word in the meter's name."""
        return sum(
            value
            for (customer, name, day), value in self.stripe.counted.items()
            if customer == f"cus_{customer_id}" and word in name and first <= day < until
        )


@pytest.fixture
def story(months: Pipeline, migrated_url: str) -> Iterator[Story]:
    story = Story(months, migrated_url)
    yield story
    story.control.dispose()


def _by_policy(day: date) -> InvoicingPolicies:
    return METERED if day < SWITCH else NEITHER


def test_what_stripe_counts_and_later_lines_are_the_usage(
    story: Story, rows: Callable[..., list[tuple[Any, ...]]]
) -> None:
    """To the whole unit, after a kill, repeated runs and two runs at once; the rest is less than one unit."""

    def kill(_identifier: str, moment: str) -> None:
        if moment == "after":
            raise Killed

    for day in DAYS:
        if day == date(2026, 10, 5):
            story.stripe.fault = kill
            with pytest.raises(Killed):
                story.run(day, policies=_by_policy(day))
            story.stripe.fault = lambda _identifier, _when: None
        if day == date(2026, 10, 14):
            threads = [Thread(target=story.run, args=[day]) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(120)
        for _ in range(2):
            assert story.run(day, policies=_by_policy(day)).faults == []
    november = date(2026, 11, 1)
    assert story.counted("acme", FIRST, november, "tool_calls") == 10 + 4 + 1
    assert story.counted("acme", FIRST, november, "compute") == 1  # of 1.55
    for meter, word in (("tool_calls", "tool_calls"), ("compute_seconds", "compute")):
        (usage,) = rows(
            story.pipeline,
            "SELECT sum(quantity) FROM usage_rollups WHERE customer_id = 'acme' AND usage_day < DATE '2026-11-01' "
            f"AND meter = '{meter}'",
        )[0]
        (adjusted,) = rows(
            story.pipeline,
            "SELECT sum(quantity - quantity_before) FROM invoice_lines WHERE customer_id = 'acme' "
            "AND billing_period = DATE '2026-11-01' AND usage_period = DATE '2026-10-01' AND component = 'usage' "
            f"AND kind = 'adjustment' AND meter = '{meter}'",
        )[0]
        rest = usage - adjusted - story.counted("acme", FIRST, november, word)
        assert rest == (Decimal("0.55") if meter == "compute_seconds" else 0)
    assert story.counted("beta", FIRST, date(2026, 10, 15), "tool_calls") == 100
    assert story.counted("beta", date(2026, 10, 15), date(2026, 11, 15), "tool_calls") == 200
    # The periods that start after the switch are rated lines.
    assert story.counted("acme", november, LAST, "") == 0
    assert story.counted("beta", date(2026, 11, 15), LAST, "") == 0
    delivered = delivered_by_meter(story.control, ACCOUNT)
    counted = summaries(story.control, ACCOUNT, story.stripe, delivered)
    assert [each.expected for each in delivered] == [counted[each.key] for each in delivered]


def test_a_policy_that_begins_within_a_period_waits_for_the_next_one(story: Story) -> None:
    """Acme's October stays rated lines; its November, and beta's period from 15 October on, are told."""
    for day in DAYS:
        if day == date(2026, 10, 12):
            assert not anything_metered(story.control, NEITHER, [day])
        story.run(day, policies=NEITHER if day < date(2026, 10, 12) else METERED)
    november = date(2026, 11, 1)
    assert story.counted("acme", FIRST, november, "") == 0
    assert story.counted("acme", november, LAST, "tool_calls") == 50
    assert story.counted("beta", date(2026, 10, 15), LAST, "tool_calls") == 200 + 9


def test_closed_days_that_were_not_planned_are_planned_with_the_next(story: Story) -> None:
    """Stripe was not reachable on the 2nd, say: the 5th tells that day, too, as meter events."""
    day = date(2026, 10, 2)
    rolled_up = StageResult((Partition("usage_rollups", PartitionKey(day, "2023-11-01"), 2, "hash"),), {}, {})
    story.pipeline.control = story.control
    story.pipeline.record(rolled_up, watermark=microseconds_of(midnight(day)) + 25 * HOUR_US, run_id="test")
    run = story.run(date(2026, 10, 5))
    assert sorted(run.planned) == [day, date(2026, 10, 5)]
    assert story.counted("acme", FIRST, date(2026, 11, 1), "") == 10 + 7 + 1
    assert story.run(date(2026, 10, 5)).sent.requests_sent == 0


def test_another_account_begins_with_the_next_period(story: Story) -> None:
    """Days that a rehearsal has been told of stay rated lines where the real account comes within the period."""
    for day in DAYS:
        if day == date(2026, 10, 5):
            story.new_stripe()
            story.stripe.account = lambda: "acct_other/test"  # type: ignore[method-assign]  # another account
            Outbox(story.control, "acct_other/test", lambda: story.now).remember(
                "customer", "acme", "cus_acme"
            )
            Outbox(story.control, "acct_other/test", lambda: story.now).remember(
                "customer", "beta", "cus_beta"
            )
        story.run(day)
    november = date(2026, 11, 1)
    assert story.counted("acme", FIRST, november, "") == 0
    assert story.counted("acme", november, LAST, "") == 50
