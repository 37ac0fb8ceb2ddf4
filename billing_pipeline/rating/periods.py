"""Billing periods: monthly, from an anchor day to the day before the next one, all in UTC dates.

A period is named by its start. The same functions serve invoice periods (by posting day) and usage periods
(by usage day). Anchor days 29 to 31 clamp to the end of shorter months: anchor 31 gives 31 January,
28 February, 31 March.
"""

import re
from calendar import monthrange
from datetime import date, timedelta

ANCHOR_DAYS = range(1, 32)
_MONTH = re.compile(r"(\d{4})-(\d{2})")


def period_start(day: date, anchor_day: int = 1) -> date:
    """The start (and the name) of the period that holds a day.

    Raises:
        ValueError: the anchor day is none of 1 to 31.
    """
    this_month = _anchor(day.year, day.month, anchor_day)
    if day >= this_month:
        return this_month
    last_month_end = day.replace(day=1) - timedelta(days=1)
    return _anchor(last_month_end.year, last_month_end.month, anchor_day)


def period_end(start: date, anchor_day: int = 1) -> date:
    """The last day of the period that starts on `start`; it closes with this posting day.

    Raises:
        ValueError: no period of this anchor day starts there.
    """
    if period_start(start, anchor_day) != start:
        raise ValueError(f"no period with anchor day {anchor_day} starts on {start}")
    next_month = start.replace(day=1) + timedelta(days=32)
    return _anchor(next_month.year, next_month.month, anchor_day) - timedelta(days=1)


def next_period(day: date, anchor_day: int = 1) -> date:
    """The start of the period after the one that holds a day.

    Raises:
        ValueError: the anchor day is none of 1 to 31.
    """
    return period_end(period_start(day, anchor_day), anchor_day) + timedelta(days=1)


def is_period_end(day: date, anchor_day: int = 1) -> bool:
    """Whether a period ends with this day."""
    next_day = day + timedelta(days=1)
    return period_start(next_day, anchor_day) == next_day


def period_name(start: date) -> str:
    """The name for people: `2026-10` for a calendar month, else the start (`2026-10-15`)."""
    return f"{start:%Y-%m}" if start.day == 1 else start.isoformat()


def parse_period(name: str) -> date:
    """The start of the period that `period_name` names.

    Raises:
        ValueError: the text is no month and no date.
    """
    if _MONTH.fullmatch(name):
        name += "-01"
    try:
        return date.fromisoformat(name)
    except ValueError:
        raise ValueError(f"{name!r} names no period; write 2026-10 or its start, 2026-10-15") from None


def _anchor(year: int, month: int, anchor_day: int) -> date:
    if anchor_day not in ANCHOR_DAYS:
        raise ValueError(f"anchor day {anchor_day} is none of 1 to 31")
    return date(year, month, min(anchor_day, monthrange(year, month)[1]))
