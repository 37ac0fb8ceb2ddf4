"""Events that take long: just in time, after their day or month, too late, or before their time."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from billing_pipeline.contract.reason_codes import RejectionCode
from billing_pipeline.demo.customers import CUSTOMERS
from billing_pipeline.demo.sending import DAYS, MONTH_START, Chance, DemoRecord, Work, rejected, sent
from billing_pipeline.demo.traffic import output

JUST_IN_TIME = 25
HOURS_LATE = 60
DAYS_LATE = 60
AFTER_THE_MONTH = 25
TOO_LATE = 8
FROM_THE_FUTURE = 4

GRACE = timedelta(hours=1)
LAST_RECEIPT = datetime(2026, 11, 5, tzinfo=UTC)
"""Nothing is received from here on."""


def just_in_time(seed: int) -> Iterator[DemoRecord]:
    """Received after midnight, but within the grace: still in its own day."""
    chance = Chance(seed, "just in time")
    for number in range(JUST_IN_TIME):
        customer = chance.customer()
        midnight = MONTH_START + timedelta(days=chance.random.randrange(1, DAYS - 5))
        occurred_at = midnight - timedelta(seconds=chance.random.randrange(1, 1_800))
        received_at = midnight + timedelta(seconds=chance.random.randrange(1, 3_599))
        work = Work(customer, customer.projects[0], occurred_at)
        yield sent(output(f"slow-{number:03}.output", work, chance), received_at, "valid", "just in time")


def hours_late(seed: int) -> Iterator[DemoRecord]:
    """A device was offline over the close of its usage day."""
    chance = Chance(seed, "hours late")
    for number in range(HOURS_LATE):
        work = chance.work(days=DAYS - 1)
        received_at = chance.hours_after(_close(work), 0, 10)
        yield sent(output(f"late-{number:03}.output", work, chance), received_at, "late", "hours late")


def days_late(seed: int) -> Iterator[DemoRecord]:
    """A region's collector was down for days; some usage of the old prices comes after the price change."""
    chance = Chance(seed, "days late")
    for number in range(DAYS_LATE):
        work = chance.work(first_day=12, days=3) if number % 3 == 0 else chance.work(days=DAYS - 8)
        received_at = chance.hours_after(_close(work), 24, 24 * 6)
        yield sent(output(f"stale-{number:03}.output", work, chance), received_at, "late", "days late")


def after_the_month(seed: int) -> Iterator[DemoRecord]:
    """October's usage that arrives in November becomes an adjustment of the next invoice."""
    chance = Chance(seed, "after the month")
    month_closes_at = MONTH_START + timedelta(days=DAYS) + GRACE
    hours = (LAST_RECEIPT - month_closes_at) // timedelta(hours=1)
    for number in range(AFTER_THE_MONTH):
        work = chance.work(first_day=15, days=DAYS - 15)
        received_at = chance.hours_after(month_closes_at, 0, hours)
        event = output(f"belated-{number:03}.output", work, chance)
        yield sent(event, received_at, "late", "after the month")


def too_late(seed: int) -> Iterator[DemoRecord]:
    """Usage of the summer: its late window is over before it arrives."""
    chance = Chance(seed, "too late")
    for number in range(TOO_LATE):
        received = chance.work()
        occurred_at = received.occurred_at - timedelta(days=chance.random.randrange(40, 60))
        work = Work(received.customer, received.project, occurred_at)
        event = output(f"ancient-{number:03}.output", work, chance)
        yield sent(event, received.occurred_at, rejected(RejectionCode.TOO_LATE), "too late")


def from_the_future(seed: int) -> Iterator[DemoRecord]:
    """A machine whose clock runs hours ahead."""
    chance = Chance(seed, "from the future")
    for number in range(FROM_THE_FUTURE):
        customer = CUSTOMERS[number]
        received_at = chance.instant(customer, days=DAYS - 3)
        work = Work(customer, customer.projects[0], chance.hours_after(received_at, 1, 30))
        event = output(f"future-{number:03}.output", work, chance)
        yield sent(event, received_at, rejected(RejectionCode.FUTURE_TIME), "from the future")


def _close(work: Work) -> datetime:
    """When the usage day takes no more."""
    midnight = work.occurred_at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(days=1) + GRACE
