"""A day's usage by the days before it."""

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from billing_pipeline.guardrails.anomalies.judged_day import JudgedDay, judge_day

DAY = date(2026, 11, 30)  # a Monday
UNIT = 10**9


def used(*quantities: int, today: int = 0) -> dict[date, int]:
    """The days before, the last of them yesterday, and today."""
    first = DAY - timedelta(days=len(quantities))
    found = {first + timedelta(days=number): each * UNIT for number, each in enumerate(quantities) if each}
    return found | ({DAY: today * UNIT} if today else {})


def week(workday: int, sunday: int = 0) -> list[int]:
    """From Monday to Sunday."""
    return [workday] * 5 + [sunday] * 2


def test_the_first_days_of_a_customer_are_no_anomaly() -> None:
    """With six active days there is nothing to expect; with seven there is."""
    assert judge_day(DAY, used(*[10] * 6, today=900)) == JudgedDay(900 * UNIT)
    found = judge_day(DAY, used(*[10] * 7, today=900))
    assert found is not None
    assert (found.expected, found.severity, found.history_days) == (10 * UNIT, "high", 7)


def test_far_more_than_ever_is_of_high_severity() -> None:
    """The threshold is eight deviations above the median; the deviation is told to a tenth."""
    found = judge_day(DAY, used(*[100] * 20, today=301))
    assert found is not None
    assert (found.threshold, found.severity) == (300 * UNIT, "high")
    assert found.deviation == 8 * UNIT  # (301 - 100) ÷ 25 is 8.04
    ordinary = judge_day(DAY, used(*[100] * 20, today=180))
    assert ordinary is not None
    assert ordinary.severity == "none"
    between = judge_day(DAY, used(*[100] * 20, today=280))
    assert between is not None
    assert between.severity == "low"


def test_weekdays_are_compared_with_their_like() -> None:
    """On a Monday the Mondays of eight weeks are expected, not the weekends between."""
    found = judge_day(DAY, used(*(week(100) * 8), today=110))
    assert found is not None
    assert (found.expected, found.severity, found.history_days) == (100 * UNIT, "none", 8)


def test_a_day_that_is_always_busy_is_none() -> None:
    """A job that runs on Mondays alone."""
    found = judge_day(DAY, used(*([1_000, *[10] * 6] * 8), today=1_050))
    assert found is not None
    assert (found.expected, found.severity) == (1_000 * UNIT, "none")


def test_work_on_a_usually_quiet_day_is_no_anomaly() -> None:
    """As on a workday, on a Sunday for once."""
    sunday = DAY - timedelta(days=1)
    days = used(*(week(100) * 8)) | {sunday: 100 * UNIT}
    found = judge_day(sunday, {day: each for day, each in days.items() if day <= sunday})
    assert found is not None
    assert (found.expected, found.severity) == (0, "none")


def test_a_usually_silent_day_without_usage_has_no_row() -> None:
    """Nothing was used, nothing was to be expected."""
    assert judge_day(DAY - timedelta(days=1), used(*(week(100) * 8)[:-1])) is None
    assert judge_day(DAY, {}) is None


def test_usage_that_stops_is_of_low_severity() -> None:
    """As where a product does not send any more."""
    found = judge_day(DAY, used(*(week(100) * 8)))
    assert found is not None
    assert (found.actual, found.expected, found.severity) == (0, 100 * UNIT, "low")
    assert judge_day(DAY, used(*[100] * 10, today=24)).severity == "low"  # type: ignore[union-attr]  # a row
    assert judge_day(DAY, used(*[100] * 10, today=26)).severity == "none"  # type: ignore[union-attr]  # a row


def test_a_customer_of_some_days_may_rest() -> None:
    """Where there was no usage on each of the last days, a day without any is nothing."""
    found = judge_day(DAY, used(*([100, 0] * 10)))
    assert found is not None
    assert found.severity == "none"


@settings(deadline=None)  # a busy machine is no fault
@given(
    st.lists(st.integers(0, 10**20), max_size=60),
    st.integers(0, 10**20),
    st.integers(1, 10**6),
)
def test_more_is_never_of_less_severity_above_what_is_expected(
    before: list[int], today: int, more: int
) -> None:
    """The severity grows with usage, from where it is at least what is expected."""
    order = ("none", "low", "high")
    less = judge_day(DAY, used(*before, today=today))
    greater = judge_day(DAY, used(*before, today=today + more))
    assert greater is not None
    if less is not None and less.expected is not None and less.actual >= less.expected:
        assert order.index(greater.severity) >= order.index(less.severity)
        assert greater.threshold == less.threshold
