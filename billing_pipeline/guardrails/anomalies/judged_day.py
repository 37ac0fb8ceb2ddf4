"""Judges a day's usage by the days before it, by the same statistic as velocity judges minutes.

Quantities are whole numbers of 10⁻⁹ units here, so that nothing is rounded but the deviation, to a tenth.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import NamedTuple

from billing_pipeline.guardrails.terms import VelocityTerms
from billing_pipeline.guardrails.velocity.detector import severity_of, threshold_of
from billing_pipeline.guardrails.velocity.spread import spread_of
from billing_pipeline.guardrails.velocity.verdict import Severity

DAYS_BACK = 56
"""Of the days before so many are looked at: eight of each weekday."""
RECENT_DAYS = 28
ACTIVE_DAYS_LEAST = 7
"""With usage on fewer of the recent days there is nothing to expect."""
WEEKS_LEAST = 4
"""So many of a weekday must lie behind for it to say anything."""
FELL_TIMES = 4
"""Less than so little of the least of the days compared is a fall."""
DEVIATIONS = VelocityTerms().deviations
LARGEST = 10**38 - 1
"""What the lake can hold of a quantity."""
_TENTH = 10**8


class JudgedDay(NamedTuple):
    """A day beside the days before.

    Attributes:
        expected, threshold, deviation: None where there is too little history; the deviation in 10⁻⁹ too, and a whole
            number of tenths.
        severity: `high` above the threshold, `low` half way to it or after a fall.
        history_days: how many days it was compared with.
    """

    actual: int
    expected: int | None = None
    threshold: int | None = None
    deviation: int | None = None
    severity: Severity = "none"
    history_days: int = 0


def judge_day(day: date, used: Mapping[date, int]) -> JudgedDay | None:
    """The verdict on a day; None where nothing was used and nothing was to be expected.

    Args:
        day: the day.
        used: by day what was used, of that day and those before it; days without usage are left out.
    """
    actual = used.get(day, 0)
    back = [day - timedelta(days=each) for each in range(1, DAYS_BACK + 1)]
    first = min((each for each in back if used.get(each, 0) > 0), default=None)
    recent = [used[each] for each in back[:RECENT_DAYS] if used.get(each, 0) > 0]
    if first is None or len(recent) < ACTIVE_DAYS_LEAST:
        return JudgedDay(actual) if actual else None
    weekday = [used.get(each, 0) for each in back[6::7] if each >= first]
    compared = weekday if len(weekday) >= WEEKS_LEAST else recent
    of_recent, spread = spread_of(recent), spread_of(compared)
    if spread.middle == 0 and actual == 0:
        return None  # as on every such weekday
    # A weekday that is usually quiet lowers nothing: who works on a Sunday for once, as on a Monday, is no anomaly.
    threshold = min(LARGEST, max(threshold_of(each, DEVIATIONS, 1) for each in (of_recent, spread)))
    severity = severity_of(actual, threshold, max(spread.middle, of_recent.middle))
    if FELL_TIMES * actual < min(compared) and (compared is weekday or _every_day(day, used)):
        severity = "low"
    return JudgedDay(
        actual,
        spread.middle,
        threshold,
        _tenths((spread if spread.middle else of_recent).deviation(actual)),
        severity,
        len(compared),
    )


def _tenths(deviation: float) -> int:
    return min(LARGEST // _TENTH, round(deviation * 10)) * _TENTH


def _every_day(day: date, used: Mapping[date, int]) -> bool:
    """Whether there was usage on each of the last seven days: only then is a day without any remarkable."""
    return all(used.get(day - timedelta(days=each), 0) > 0 for each in range(1, ACTIVE_DAYS_LEAST + 1))
