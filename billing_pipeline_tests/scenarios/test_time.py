"""Time: one rule decides the day.

A day takes what is received before its end plus the grace in force at its start, to the microsecond, and never closes
before the day before it. What comes later is late: it is booked in the day that is open, under the rules of its own
time, and the closed day stays as it is. Usage of a new day counts there though the old one still takes records. Days
are UTC whatever offset an event is written in. Whether late usage is adjusted or refused, and how long, is decided by
the policy in force on its usage day; what is refused is listed with a reason, as is usage from before the first rules.
A version may start within a day, and each event is metered under the one in force when it occurred. A new version may
not start in a day that is closed. The queue's clock, which stamps all of it, never goes back and cannot be set ahead.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from billing_pipeline.errors import ClockError
from billing_pipeline_tests.scenarios.company import Company, lines, rule_book, used

ROLLUPS = (
    "SELECT posting_day, usage_day, rule_version, kind, CAST(quantity AS INTEGER) FROM usage_rollups "
    "ORDER BY posting_day, usage_day, rule_version"
)
REJECTED = (
    "SELECT value, reason_code, CAST(receipt_day AS VARCHAR) FROM rejected_usage_events ORDER BY queue_offset"
)


class Frozen(NamedTuple):
    """A company, and the hashes of its first of February as it was closed and as it was made again later."""

    company: Company
    closed: dict[str, str]
    again: dict[str, str]


@pytest.fixture(scope="module")
def frozen(new_company: Callable[[], Company]) -> Frozen:
    """Grace of an hour, a late window of two days; every quantity is another power of two."""
    company = new_company()
    company.write_rules(
        only=rule_book(effective_from="2025-01-30T00:00:00Z", grace_minutes=60, late_window_days=2)
    )
    company.write_customers({"id": "acme", "plan": "basic", "anchor_day": 2})
    evening = "2025-02-01T23:00:00Z"
    company.receive(
        used("no-rules", "2025-01-29T23:59:59.999999Z", 128, received_at="2025-01-30T00:10:00Z"),
        used("two-hours-east", "2025-02-02T00:30:00+02:00", 16, received_at="2025-02-01T22:30:00Z"),
        used("clock-ahead", "2025-02-02T00:02:00Z", 8, received_at="2025-02-01T23:58:00Z"),
        used("new-day", "2025-02-02T00:30:00Z", 4),
        used("in-time", evening, 1, received_at="2025-02-02T00:59:59.999999Z"),
    )
    closed = company.make("2025-01-29", "2025-02-01")
    company.receive(
        used("late", evening, 2, received_at="2025-02-02T01:00:00Z"),
        used("last", evening, 32, received_at="2025-02-04T00:59:59.999999Z"),
        used("too-late", evening, 64, received_at="2025-02-04T01:00:00Z"),
    )
    again = company.make("2025-02-01")
    company.make("2025-02-02", "2025-02-03", "2025-02-04", "2025-03-01")
    return Frozen(company, closed, again)


def test_what_comes_before_the_close_is_on_time_and_a_microsecond_later_it_is_late(frozen: Frozen) -> None:
    """17 in time; 2 at the very close and 32 in the last microsecond of the late window; 12 of the new day."""
    first, second, third = "2025-02-01", "2025-02-02", "2025-02-03"
    assert frozen.company.sql(ROLLUPS) == [
        (first, first, "first", "on_time", 1 + 16),
        (second, first, "first", "late", 2),
        (second, second, "first", "on_time", 4 + 8),
        (third, first, "first", "late", 32),
    ]


def test_the_closed_day_is_made_again_with_the_same_bytes(frozen: Frozen) -> None:
    """Every table of it, though late usage of it has come and been booked since."""
    assert len(frozen.again) > 10
    assert frozen.again.items() <= frozen.closed.items()


def test_late_usage_is_an_adjustment_of_the_next_invoice(frozen: Frozen) -> None:
    """A dollar a call: the period that ended with the first of February is not touched, the next one books it."""
    ended = frozen.company.invoice("acme", "2025-01-02")
    assert lines(ended, "kind", "usage_period", "amount_minor") == [("usage", "2025-01-02", 17_00)]
    following = frozen.company.invoice("acme", "2025-02-02")
    assert lines(following, "kind", "usage_period", "booked_before_minor", "amount_minor") == [
        ("usage", "2025-02-02", 0, 12_00),
        ("adjustment", "2025-01-02", 17_00, 34_00),
    ]


def test_what_is_not_billed_is_listed_with_its_reason(frozen: Frozen) -> None:
    """Two days and a microsecond after the close, and a microsecond before the first rules."""
    assert frozen.company.sql(REJECTED) == [
        ("2025-01-29 23:59:59.999999+00", "no_rules_in_force", "2025-01-29"),
        ("2025-02-01 23:00:00+00", "too_late", "2025-02-04"),
    ]


def test_the_queue_clock_never_goes_back_and_never_ahead_of_the_wall_clock(frozen: Frozen) -> None:
    """An import says which receipt times it raised to the clock, and refuses as a whole what is yet to come."""
    before = frozen.company.billing("queue", "status")
    ahead = used("from-the-future", "2025-02-01T10:00:00Z", 1, received_at="2999-01-01T00:00:00Z")
    with pytest.raises(ClockError, match="nothing was appended"):
        frozen.company.receive(used("with-it", "2025-02-05T10:00:00Z", 1), ahead)
    assert frozen.company.billing("queue", "status") == before
    printed = frozen.company.receive(used("backdated", "2025-02-04T00:30:00Z", 1))
    assert "receipt times raised to the queue's clock" in printed


@pytest.fixture(scope="module")
def changed(new_company: Callable[[], Company], process: Callable[..., Any]) -> Company:
    """On the first of February at noon the price doubles, three days of grace become none, late is refused.

    The first of February and the days before it have the old grace: 31 January closes on 4 February, the 1st on the
    5th, and the 2nd, 3rd and 4th no sooner than that.
    """
    company = new_company()
    company.write_rules(
        old=rule_book("old", grace_minutes=3 * 24 * 60),
        new=rule_book(
            "new",
            "2025-02-01T12:00:00Z",
            price="{model: per_unit, unit_price: 2.00}",
            grace_minutes=0,
            late_policy="reject",
        ),
    )
    company.write_customers({"id": "acme", "plan": "basic", "anchor_day": 6})
    january, second = "2025-01-31T10:00:00Z", "2025-02-02T10:00:00Z"
    before_the_fifth, fifth = "2025-02-04T23:59:59.999999Z", "2025-02-05T00:00:00Z"
    company.receive(
        used("before-noon", "2025-02-01T11:59:59.999999Z", 1),
        used("at-noon", "2025-02-01T12:00:00Z", 2),
        used("january-in-time", january, 4, received_at="2025-02-03T23:59:59.999999Z"),
        used("january-late", january, 8, received_at="2025-02-04T00:00:00Z"),
        used("second-in-time", second, 16, received_at=before_the_fifth),
        used("second-late", second, 32, received_at=fifth),
        used("afternoon-late", "2025-02-01T13:00:00Z", 64, received_at=fifth),
        used("morning-late", "2025-02-01T09:00:00Z", 128, received_at="2025-02-05T08:00:00Z"),
        used("fifth", "2025-02-05T09:00:00Z", 256),
    )
    company.billing("queue", "advance", "--to", "2025-02-06T00:00:00Z")
    # Dagster's partitions know the rule versions of when they were imported, so a process of its own closes these.
    command = "import sys; from billing_pipeline.cli import main; sys.argv[0] = 'billing'; main()"
    closed = process(company.home, "-c", command, "close", "--through", "2025-02-05")
    assert closed.returncode == 0, closed.stderr
    return company


def test_each_event_is_metered_under_the_rules_of_its_own_microsecond(changed: Company) -> None:
    """Late usage of the old version posts in the day that is open, among the new one's, under its old price."""
    assert changed.sql(ROLLUPS) == [
        ("2025-01-31", "2025-01-31", "old", "on_time", 4),
        ("2025-02-01", "2025-01-31", "old", "late", 8),
        ("2025-02-01", "2025-02-01", "new", "on_time", 2),
        ("2025-02-01", "2025-02-01", "old", "on_time", 1),
        ("2025-02-02", "2025-02-02", "new", "on_time", 16),
        ("2025-02-05", "2025-02-01", "new", "late", 64),
        ("2025-02-05", "2025-02-01", "old", "late", 128),
        ("2025-02-05", "2025-02-05", "new", "on_time", 256),
    ]
    invoice = changed.invoice("acme", "2025-01-06")
    assert sorted(lines(invoice, "rule_version", "quantity", "amount_minor")) == [
        ("new", str(2 + 16 + 64 + 256), 2_00 * 338),
        ("old", str(1 + 4 + 8 + 128), 1_00 * 141),
    ]


def test_a_day_never_closes_before_the_one_before_it(changed: Company) -> None:
    """Without a grace of their own the next three days close with the first: no record has them as receipt day."""
    records = "SELECT CAST(receipt_day AS VARCHAR), count(*) FROM raw_usage_events GROUP BY 1 ORDER BY 1"
    assert changed.sql(records) == [
        ("2025-01-29", 2),
        ("2025-01-31", 1),
        ("2025-02-01", 2),
        ("2025-02-05", 4),
    ]


def test_the_policy_for_lateness_is_that_of_the_start_of_the_usage_day(changed: Company) -> None:
    """Usage of the afternoon has the new price and still the old day's tolerance; the next day's is refused."""
    assert changed.sql(REJECTED) == [("2025-02-02 10:00:00+00", "too_late", "2025-02-05")]


def test_a_new_version_starts_after_the_last_closed_day_or_not_at_all(changed: Company) -> None:
    """Its file is there too late by a microsecond of the closed day; a day later it is taken and prices that day."""
    before = changed.sql(ROLLUPS)
    changed.write_rules(newest=rule_book("newest", "2025-02-05T23:59:59.999999Z"))
    changed.receive(used("sixth", "2025-02-06T00:00:00Z", 5))
    changed.billing("queue", "advance", "--to", "2025-02-07T01:00:00Z")
    assert "all days through 2025-02-05 are closed" in changed.refused("close", "--through", "2025-02-05")
    changed.write_rules(newest=rule_book("newest", "2025-02-06T00:00:00Z"))
    assert "Nothing to close" in changed.billing("close", "--through", "2025-02-05")
    changed.make("2025-02-06")
    assert changed.sql(ROLLUPS) == [*before, ("2025-02-06", "2025-02-06", "newest", "on_time", 5)]
