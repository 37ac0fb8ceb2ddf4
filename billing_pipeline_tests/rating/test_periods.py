"""Billing periods cover every day once, also for anchor days that a month does not have."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.rating.periods import is_period_end, parse_period, period_end, period_name, period_start

DAYS = st.dates(date(2020, 1, 1), date(2032, 12, 31))
ANCHORS = st.integers(1, 31)


@pytest.mark.parametrize(
    ("day", "anchor_day", "start", "end"),
    [
        ("2026-10-16", 1, "2026-10-01", "2026-10-31"),
        ("2026-10-14", 15, "2026-09-15", "2026-10-14"),
        ("2026-01-01", 15, "2025-12-15", "2026-01-14"),
        ("2026-02-28", 31, "2026-02-28", "2026-03-30"),
        ("2026-02-27", 31, "2026-01-31", "2026-02-27"),
        ("2024-02-29", 30, "2024-02-29", "2024-03-29"),
        ("2024-02-28", 29, "2024-01-29", "2024-02-28"),
        ("2026-03-31", 31, "2026-03-31", "2026-04-29"),
    ],
)
def test_a_day_lies_in_the_period_of_its_anchor(day: str, anchor_day: int, start: str, end: str) -> None:
    """Anchors 29 to 31 clamp to the month's end."""
    found = period_start(date.fromisoformat(day), anchor_day)
    assert found == date.fromisoformat(start)
    assert period_end(found, anchor_day) == date.fromisoformat(end)


@given(DAYS, ANCHORS)
def test_periods_follow_each_other_without_gap_or_overlap(day: date, anchor_day: int) -> None:
    """Each day is in exactly one period, and the day after an end starts the next."""
    start = period_start(day, anchor_day)
    end = period_end(start, anchor_day)
    assert start <= day <= end
    assert 28 <= (end - start).days + 1 <= 31
    assert period_start(end, anchor_day) == start
    assert period_start(end + timedelta(days=1), anchor_day) == end + timedelta(days=1)
    assert is_period_end(day, anchor_day) == (day == end)


@given(DAYS, ANCHORS)
def test_a_period_is_found_again_by_its_name(day: date, anchor_day: int) -> None:
    """`2026-10` for calendar months, else the start."""
    start = period_start(day, anchor_day)
    assert parse_period(period_name(start)) == start


def test_impossible_anchors_periods_and_names_are_refused() -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match="anchor day 32"):
        period_start(date(2026, 1, 1), 32)
    with pytest.raises(ValueError, match="no period with anchor day 1"):
        period_end(date(2026, 1, 2), 1)
    with pytest.raises(ValueError, match="names no period"):
        parse_period("October")
