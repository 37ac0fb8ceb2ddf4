"""One rule decides the day: close, receipt day, posting day and lateness, against their definitions."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.contract.instants import instant_us
from billing_pipeline.metering.calendar import (
    DAY_US,
    FUTURE_TOLERANCE_US,
    MINUTE_US,
    Calendar,
    CloseTerms,
    day_of,
    days_between,
    start_of,
)

BASE = date(2026, 10, 1)
SPAN_DAYS = 30
GRACE_MAX_MINUTES = 72 * 60


def us(text: str) -> int:
    instant = instant_us(text)
    assert instant is not None
    return instant


def reference_close(terms: list[CloseTerms], day: date) -> int:
    """`close(D) = max(end(D) + grace in force at the start of D, close(D-1))`, as it is written, from far back."""
    first = BASE - timedelta(days=30)
    if day < first:
        return 0
    in_force = [each for each in terms if each.effective_from <= start_of(day)]
    grace = max(in_force, key=lambda each: each.effective_from, default=terms[0]).grace_minutes
    return max(start_of(day) + DAY_US + grace * MINUTE_US, reference_close(terms, day - timedelta(days=1)))


def reference_receipt_day(terms: list[CloseTerms], received_at: int) -> date:
    day = BASE - timedelta(days=20)
    while received_at >= reference_close(terms, day):
        day += timedelta(days=1)
    return day


def close_terms(effective_from: int, grace_minutes: int) -> CloseTerms:
    return CloseTerms(effective_from, grace_minutes, late_window_days=35, rejects_late=False)


@st.composite
def several_terms(draw: st.DrawFn) -> list[CloseTerms]:
    """Up to four close policies with starts at any instant of some weeks, graces from none to the longest."""
    starts = draw(st.lists(st.integers(0, SPAN_DAYS * DAY_US), min_size=1, max_size=4, unique=True))
    grace = st.one_of(
        st.integers(0, GRACE_MAX_MINUTES), st.sampled_from([0, 60, 1435, 1440, GRACE_MAX_MINUTES])
    )
    return [close_terms(start_of(BASE) + start, draw(grace)) for start in sorted(starts)]


instants = st.one_of(
    st.integers(0, SPAN_DAYS * DAY_US),
    st.builds(
        lambda day, minutes, shift: day * DAY_US + minutes * MINUTE_US + shift,
        st.integers(0, SPAN_DAYS),
        st.sampled_from([0, 60, 1435, 1440, GRACE_MAX_MINUTES]),
        st.integers(-1, 1),
    ),
).map(lambda offset: start_of(BASE) + offset)


@given(several_terms(), st.integers(-2, SPAN_DAYS))
def test_a_day_closes_as_the_recursive_definition_says(terms: list[CloseTerms], days: int) -> None:
    day = BASE + timedelta(days=days)
    assert Calendar(terms).close(day) == reference_close(terms, day)


@given(several_terms(), instants)
def test_the_receipt_day_is_the_first_one_not_yet_closed(terms: list[CloseTerms], received_at: int) -> None:
    assert Calendar(terms).receipt_day(received_at) == reference_receipt_day(terms, received_at)


@given(several_terms(), instants, st.integers(-3 * DAY_US, FUTURE_TOLERANCE_US))
def test_usage_is_posted_on_the_later_of_usage_day_and_receipt_day(
    terms: list[CloseTerms], received_at: int, ahead: int
) -> None:
    expected = max(day_of(received_at + ahead), reference_receipt_day(terms, received_at))
    assert Calendar(terms).posting_day(received_at + ahead, received_at) == expected


@given(
    several_terms(),
    instants,
    st.one_of(st.integers(-2 * DAY_US, FUTURE_TOLERANCE_US), st.just(FUTURE_TOLERANCE_US)),
)
def test_no_record_lies_outside_the_receipt_days_that_its_posting_day_reads(
    terms: list[CloseTerms], received_at: int, ahead: int
) -> None:
    calendar = Calendar(terms)
    receipt_day = calendar.receipt_day(received_at)
    posting_day = calendar.posting_day(received_at + ahead, received_at)
    assert posting_day - timedelta(days=calendar.lookback_days()) <= receipt_day <= posting_day


@given(several_terms(), instants)
def test_every_instant_lies_in_the_receipt_day_whose_opening_and_close_enclose_it(
    terms: list[CloseTerms], received_at: int
) -> None:
    calendar = Calendar(terms)
    entry = calendar.entry(calendar.receipt_day(received_at))
    assert entry.opens_at <= received_at < entry.closes_at


@given(st.integers(0, GRACE_MAX_MINUTES), instants)
def test_with_a_constant_grace_the_receipt_day_is_the_date_of_receipt_less_the_grace(
    grace_minutes: int, received_at: int
) -> None:
    calendar = Calendar([close_terms(0, grace_minutes)])
    assert calendar.receipt_day(received_at) == day_of(received_at - grace_minutes * MINUTE_US)


def test_a_shorter_grace_never_closes_a_day_before_the_day_before_it() -> None:
    calendar = Calendar([close_terms(0, GRACE_MAX_MINUTES), close_terms(us("2026-10-05T00:00:00Z"), 0)])
    assert calendar.close(date(2026, 10, 4)) == us("2026-10-08T00:00:00Z")
    assert calendar.close(date(2026, 10, 5)) == us("2026-10-08T00:00:00Z")
    assert calendar.close(date(2026, 10, 7)) == us("2026-10-08T00:00:00Z")
    assert calendar.close(date(2026, 10, 8)) == us("2026-10-09T00:00:00Z")
    assert calendar.receipt_day(us("2026-10-07T23:59:59.999999Z")) == date(2026, 10, 4)
    assert calendar.receipt_day(us("2026-10-08T00:00:00Z")) == date(2026, 10, 8)


def test_the_grace_of_a_day_is_the_one_in_force_at_its_start() -> None:
    calendar = Calendar([close_terms(0, 60), close_terms(us("2026-10-05T00:00:00.000001Z"), 120)])
    assert calendar.close(date(2026, 10, 5)) == us("2026-10-06T01:00:00Z")
    assert calendar.close(date(2026, 10, 6)) == us("2026-10-07T02:00:00Z")


@pytest.mark.parametrize(
    ("received_at", "lateness"),
    [
        ("2026-10-06T00:59:59.999999Z", "on_time"),
        ("2026-10-06T01:00:00Z", "late"),
        ("2026-10-16T00:59:59.999999Z", "late"),
        ("2026-10-16T01:00:00Z", "too_late"),
    ],
)
def test_usage_becomes_late_and_too_late_at_the_exact_microsecond(received_at: str, lateness: str) -> None:
    calendar = Calendar([CloseTerms(0, 60, late_window_days=10, rejects_late=False)])
    assert calendar.lateness(us("2026-10-05T12:00:00Z"), us(received_at)) == lateness


def test_under_the_policy_reject_late_usage_is_too_late_at_once() -> None:
    calendar = Calendar([CloseTerms(0, 60, late_window_days=10, rejects_late=True)])
    occurred_at = us("2026-10-05T12:00:00Z")
    assert calendar.lateness(occurred_at, us("2026-10-06T00:59:59.999999Z")) == "on_time"
    assert calendar.lateness(occurred_at, us("2026-10-06T01:00:00Z")) == "too_late"


def test_lateness_follows_the_policy_in_force_on_the_usage_day_not_on_the_day_of_receipt() -> None:
    calendar = Calendar(
        [
            CloseTerms(0, 60, late_window_days=10, rejects_late=False),
            CloseTerms(us("2026-10-06T00:00:00Z"), 60, late_window_days=10, rejects_late=True),
        ]
    )
    received_at = us("2026-10-08T00:00:00Z")
    assert calendar.lateness(us("2026-10-05T23:59:59.999999Z"), received_at) == "late"
    assert calendar.lateness(us("2026-10-06T00:00:00Z"), received_at) == "too_late"


def test_the_lookback_covers_grace_and_the_tolerated_lead_of_clocks() -> None:
    """Even without a grace an event may claim a time just after midnight before midnight."""
    assert Calendar([close_terms(0, 0)]).lookback_days() == 1
    assert Calendar([close_terms(0, 1435)]).lookback_days() == 1
    assert Calendar([close_terms(0, 1436)]).lookback_days() == 2
    assert Calendar([close_terms(0, GRACE_MAX_MINUTES)]).lookback_days() == 4


def test_the_last_closed_day_is_closed_and_the_next_one_is_not() -> None:
    calendar = Calendar([close_terms(0, 60)])
    assert calendar.last_closed(us("2026-10-06T01:00:00Z")) == date(2026, 10, 5)
    assert calendar.last_closed(us("2026-10-06T00:59:59.999999Z")) == date(2026, 10, 4)


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis wants naive bounds and a time zone beside them
def test_the_day_of_an_instant_is_its_utc_date_also_before_the_epoch(moment: datetime) -> None:
    instant = us(moment.isoformat())
    assert day_of(instant) == moment.date()
    assert 0 <= instant - start_of(moment.date()) < DAY_US


def test_days_between_are_inclusive_and_empty_backwards() -> None:
    assert days_between(date(2026, 2, 27), date(2026, 3, 1)) == [
        date(2026, 2, 27),
        date(2026, 2, 28),
        date(2026, 3, 1),
    ]
    assert days_between(date(2026, 3, 1), date(2026, 2, 28)) == []
