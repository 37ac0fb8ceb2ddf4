"""Each meter event counts once in Stripe, whatever happens on the way; on both control databases."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from threading import Thread
from typing import NamedTuple

import pytest

from billing_pipeline.contract.instants import microseconds_of
from billing_pipeline.control.database import open_control
from billing_pipeline.errors import (
    MeterEventChangedError,
    MeterEventError,
    StripeRefusedError,
    StripeUnreachableError,
)
from billing_pipeline.invoicing.meter_events.acting import cancel_event, plan_refused_again, settle_event
from billing_pipeline.invoicing.meter_events.comparing import delivered_by_meter, summaries
from billing_pipeline.invoicing.meter_events.event_name import MeteredCharge, event_name
from billing_pipeline.invoicing.meter_events.meter_errors import meter_errors, read_back_errors
from billing_pipeline.invoicing.meter_events.meter_outbox import MeterEventState, MeterOutbox
from billing_pipeline.invoicing.meter_events.planned_events import (
    NOON_US,
    PlannedMeterEvent,
    identifier_of,
)
from billing_pipeline.invoicing.meter_events.port import MeterErrorReport
from billing_pipeline.invoicing.meter_events.sending import SendReport, send_meter_events
from billing_pipeline.invoicing.push.outbox import Outbox
from billing_pipeline.invoicing.push.sending import Sender
from billing_pipeline.rating.agreement import midnight
from billing_pipeline_tests.invoicing.meter_events.fake_meters import ACCOUNT, DAY_US, HOUR_US, FakeMeters

USED = date(2026, 10, 5)
CALLS = MeteredCharge("growth", "tool_calls", "tool_calls", '{"tool":"web_search"}')


class Killed(BaseException):
    """Stands for kill -9: nothing of ours may swallow it."""


class Clock:
    """UTC µs, moved by hand; sleeping moves it."""

    def __init__(self) -> None:
        self.now = microseconds_of(midnight(date(2026, 10, 6))) + HOUR_US

    def __call__(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += int(seconds * 1_000_000)


class Books(NamedTuple):
    outbox: MeterOutbox
    stripe: FakeMeters
    clock: Clock

    def send(self) -> SendReport:
        return send_meter_events(self.outbox, self.stripe, clock=self.clock, sleep=self.clock.sleep)

    def states(self) -> list[str]:
        return [str(event.state) for event in self.outbox.of_period()]

    @property
    def total(self) -> int:
        return sum(self.stripe.counted.values())


@pytest.fixture
def books(migrated_url: str) -> Iterator[Books]:
    engine, clock = open_control(migrated_url), Clock()
    objects = Outbox(engine, ACCOUNT, clock)
    for customer_id in ("acme", "beta"):
        objects.remember("customer", customer_id, f"cus_{customer_id}")
    stripe = FakeMeters(clock)
    stripe.names = {event_name(CALLS)}
    yield Books(MeterOutbox(engine, ACCOUNT, clock), stripe, clock)
    engine.dispose()


def _event(value: int, customer_id: str = "acme", usage_day: date = USED, late: int = 0) -> PlannedMeterEvent:
    """`late`: by how many days the usage was posted after its day."""
    name, posting_day = event_name(CALLS), date.fromordinal(usage_day.toordinal() + late)
    return PlannedMeterEvent(
        identifier=identifier_of(customer_id, name, usage_day, posting_day),
        event_name=name,
        customer_id=customer_id,
        metered=CALLS,
        billing_period=date(2026, 10, 1),
        usage_day=usage_day,
        posting_day=posting_day,
        value=value,
        occurred_at=microseconds_of(midnight(usage_day)) + NOON_US,
    )


def _dropping(wanted: str, when: str) -> Callable[[str, str], None]:
    """The connection is gone before, or after, Stripe has counted an event, and does not come back."""
    gone: list[str] = []

    def fault(identifier: str, moment: str) -> None:
        if identifier == wanted and (gone or moment == when):
            gone.append(moment)
            raise StripeUnreachableError("send meter event", "connection dropped")

    return fault


def test_planned_events_are_sent_once_in_their_order(books: Books) -> None:
    """One at a time of a customer and meter, by id; a second run has nothing to send."""
    days = [date(2026, 10, day) for day in range(1, 6)]
    books.outbox.plan([_event(day.day, name, day) for day in days for name in ("acme", "beta")])
    report = books.send()
    assert report.count(MeterEventState.DELIVERED) == 10
    assert books.stripe.most_at_once == 1
    for customer in ("acme", "beta"):
        mine = [event.identifier for event in books.outbox.of_period() if event.customer_id == customer]
        sent = [identifier for identifier, _ in books.stripe.received if identifier in mine]
        assert sent == mine == sorted(mine)
    assert books.total == 2 * (1 + 2 + 3 + 4 + 5)
    assert books.send().requests_sent == 0


def test_planning_again_changes_nothing_and_another_value_is_refused(books: Books) -> None:
    """What was told of a posting day cannot change."""
    assert books.outbox.plan([_event(7)]) == 1
    assert books.outbox.plan([_event(7)]) == 0
    with pytest.raises(MeterEventChangedError, match="value 7 and would now have 8"):
        books.outbox.plan([_event(8)])


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_sender_that_is_killed_is_taken_over(books: Books, when: str) -> None:
    """Whether Stripe had counted the event or not: after the next run it has, once."""
    books.outbox.plan([_event(7)])

    def kill(_identifier: str, moment: str) -> None:
        if moment == when:
            raise Killed

    books.stripe.fault = kill
    with pytest.raises(Killed):
        books.send()
    assert books.states() == ["sent"]
    books.stripe.fault = lambda _identifier, _when: None
    books.send()
    assert (books.states(), books.total) == (["delivered"], 7)


@pytest.mark.parametrize(("when", "answer"), [("before", "not counted"), ("after", "counted")])
def test_what_stripe_has_forgotten_is_looked_up_first(books: Books, when: str, answer: str) -> None:
    """A day later an event of unknown outcome is sent again only where the summaries lack it."""
    books.outbox.plan([_event(5, usage_day=date(2026, 10, 4)), _event(40), _event(2, late=1)])
    second = books.outbox.of_period()[1].identifier

    books.stripe.fault = _dropping(second, when)
    report = books.send()
    assert books.states() == ["delivered", "sent", "planned"]
    assert "run again" in report.waiting[second]
    books.stripe.fault = lambda _identifier, _when: None
    books.clock.now += 25 * HOUR_US
    books.send()
    assert (books.states(), books.total) == (["delivered"] * 3, 47)
    assert sum(identifier == second for identifier, _ in books.stripe.received) == 1, answer


def test_what_cannot_be_told_is_left_to_a_person(books: Books) -> None:
    """Where somebody else has counted on the day, too, nothing is sent; `settle` says what a person found out."""
    books.outbox.plan([_event(40)])
    (event,) = books.outbox.of_period()

    books.stripe.fault = _dropping(event.identifier, "after")
    books.send()
    books.stripe.fault = lambda _identifier, _when: None
    books.stripe.counted["cus_acme", event.event_name, USED] += 3
    books.clock.now += 25 * HOUR_US
    books.send()
    (event,) = books.outbox.of_period()
    assert event.state is MeterEventState.REFUSED
    assert f"meter-events settle {event.identifier} --counted" in event.detail
    assert plan_refused_again(books.outbox) == 0
    settle_event(books.outbox, event.identifier, "it is in the dashboard", counted=True)
    assert (books.states(), books.total) == (["delivered"], 43)
    with pytest.raises(MeterEventError, match="it is delivered"):
        settle_event(books.outbox, event.identifier, "again", counted=False)


def test_a_refused_event_is_sent_again_once_it_is_mended(books: Books) -> None:
    """Under another idempotency key, for Stripe may keep its refusal."""

    def refuse(_identifier: str, _moment: str) -> None:
        raise StripeRefusedError("send meter event", "no such customer", 400)

    books.stripe.fault = refuse
    books.outbox.plan([_event(7)])
    books.send()
    (event,) = books.outbox.of_period()
    assert (event.state, "no such customer" in event.detail) == (MeterEventState.REFUSED, True)
    books.send()
    assert len(books.stripe.keys) == 1
    books.stripe.fault = lambda _identifier, _when: None
    assert plan_refused_again(books.outbox) == 1
    books.send()
    assert (books.states(), books.total) == (["delivered"], 7)
    assert len(set(books.stripe.keys)) == 2


def test_events_wait_for_their_meter(books: Books) -> None:
    """Stripe may take an event of no meter, and not count it: it is not sent until the meter is there."""
    names, books.stripe.names = books.stripe.names, set()
    books.outbox.plan([_event(7)])
    (why,) = books.send().waiting.values()
    assert "no active meter growth.tool_calls.web_search" in why
    assert (books.states(), books.stripe.keys) == (["planned"], [])
    books.stripe.names = names
    books.send()
    assert (books.states(), books.total) == (["delivered"], 7)


def test_events_wait_for_their_customer_and_for_their_time(books: Books) -> None:
    """Nothing is sent for a customer without a Stripe object, nor for noon of a day that has not come."""
    books.outbox.plan([_event(1, "nobody"), _event(2, usage_day=date(2026, 10, 6))])
    report = books.send()
    assert books.states() == ["planned", "planned"]
    assert sorted(why.split(":")[0][:20] for why in report.waiting.values()) == [
        "Stripe does not know",
        "its time 2026-10-06T",
    ]
    assert report.requests_sent == 0


def test_what_is_too_old_expires_without_a_request(books: Books) -> None:
    """Stripe takes timestamps of 35 days; what our clock lets through and Stripe's does not expires, too."""
    books.outbox.plan([_event(1), _event(2, late=1)])
    books.clock.now = microseconds_of(midnight(USED)) + NOON_US + 35 * DAY_US - HOUR_US
    stripes = books.stripe.clock
    books.stripe.clock = lambda: stripes() + 2 * HOUR_US
    books.outbox.plan([_event(3, late=2)])
    books.send()
    books.clock.now += 2 * HOUR_US
    books.send()
    assert books.states() == ["expired"] * 3
    assert len(books.stripe.keys) == 3
    books.outbox.plan([_event(4, late=3)])
    assert books.send().count(MeterEventState.EXPIRED) == 1
    assert len(books.stripe.keys) == 3


def test_two_senders_at_once_count_each_event_once(books: Books) -> None:
    """The second waits for the first, and finds nothing left."""
    books.outbox.plan([_event(day, usage_day=date(2026, 10, day)) for day in range(1, 6)])
    reports: list[SendReport] = []
    threads = [Thread(target=lambda: reports.append(books.send())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(report.requests_sent for report in reports) == [0, 5]
    assert (books.total, books.stripe.most_at_once) == (15, 1)


def test_an_event_is_cancelled_only_within_a_day_of_its_delivery(books: Books) -> None:
    """Afterwards Stripe would refuse it; cancelling twice is cancelling once."""
    books.outbox.plan([_event(1), _event(2, late=1)])
    first, second = (event.identifier for event in books.outbox.of_period())
    with pytest.raises(MeterEventError, match="it is planned"):
        cancel_event(books.outbox, books.stripe, first, "a test", books.clock)
    books.send()
    for _ in range(2):
        assert cancel_event(books.outbox, books.stripe, first, "a test", books.clock).detail == "a test"
    books.clock.now += 24 * HOUR_US
    with pytest.raises(MeterEventError, match="more than 24 hours ago"):
        cancel_event(books.outbox, books.stripe, second, "a test", books.clock)
    assert books.states() == ["cancelled", "delivered"]
    with pytest.raises(MeterEventError, match="there is none in acct_fake/test"):
        cancel_event(books.outbox, books.stripe, "nothing", "a test", books.clock)


def test_errors_are_read_back_once_and_taken_off_what_is_expected(books: Books) -> None:
    """By the identifier that Stripe names, also where that is the key of a request that was sent anew."""
    books.outbox.plan([_event(30), _event(12, late=1), _event(5, "beta")])
    books.send()
    event = books.outbox.of_period()[1]
    report = MeterErrorReport(
        error_id="evt_1/1",
        meter_id="mtr_1",
        identifier=f"{event.identifier}-3",
        code="meter_event_customer_not_found",
        message="no such customer",
        reported_at=books.clock.now,
    )
    books.stripe.reports = [report, replace(report, error_id="evt_1/2", identifier=None)]
    sender = Sender(Outbox(books.outbox.engine, ACCOUNT, books.clock), books.clock)
    assert read_back_errors(books.outbox, books.stripe, sender, books.clock.now) == 2
    assert read_back_errors(books.outbox, books.stripe, sender, books.clock.now) == 0
    assert [error.identifier for error in meter_errors(books.outbox)] == [event.identifier, None]
    acme, beta = delivered_by_meter(books.outbox.engine, ACCOUNT, date(2026, 10, 1))
    assert (acme.delivered, acme.reported, acme.expected, acme.newest_at) == (42, 12, 30, books.clock.now)
    found = summaries(books.outbox.engine, ACCOUNT, books.stripe, [acme, beta])
    assert [found[each.key] for each in (acme, beta)] == [42, 5]


def test_what_became_of_usage_adds_up_to_what_was_planned(books: Books) -> None:
    """Delivered, waiting, expired, refused and cancelled units are all the units."""
    old = date(2026, 8, 31)
    books.outbox.plan([_event(1, usage_day=old), _event(2), _event(4, late=1)])
    books.send()
    cancel_event(books.outbox, books.stripe, books.outbox.of_period()[1].identifier, "a test", books.clock)
    books.outbox.plan([_event(8, late=2)])
    (usage,) = delivered_by_meter(books.outbox.engine, ACCOUNT)
    assert (usage.delivered, usage.waiting, usage.expired, usage.cancelled) == (4, 8, 1, 2)
    assert usage.planned == 15
    assert (usage.first_day, usage.last_day) == (old, USED)
