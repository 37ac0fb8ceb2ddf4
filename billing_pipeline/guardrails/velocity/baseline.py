"""A customer's or project's own baseline: what it ordinarily spends in a minute and in ten, at this hour of the week.

The recent past are its last active minutes, not the last hours of the clock: a customer that works eight hours a day
is judged by days, one that works all night by a day, and one that hardly works at all has no baseline yet.
"""

from collections.abc import Sequence

import msgspec

from billing_pipeline.guardrails.velocity.series import HOUR_US, MINUTE_US, Hour, Minute, rolling
from billing_pipeline.guardrails.velocity.spread import Spread, quantile, spread_of

ACTIVE_MINUTES_MOST = 1_440
"""The recent past: so many active minutes."""
RECENT_US = 14 * 24 * HOUR_US
"""The recent past begins at most so long ago."""
ACTIVE_MINUTES_LEAST = 60
"""With fewer there is no baseline, and only absolute thresholds pause."""
JUDGED_MINUTES = 10
"""What is judged does not belong to what it is judged by."""
LONG_MINUTES = 10
WEEK_HOURS = 168
SEASON_WEEKS_LEAST = 3
"""So many weeks of hours must be there for this hour of the week to say anything."""
SEASON_WEEKS_MOST = 8
SEASON_BUSIER_TIMES = 1.5
"""An hour of the week counts where it usually is so many times busier than the busy hours of the recent past."""
SEASON_TIMES = 5
"""So many times what such an hour usually spends, minute by minute, is ordinary: jobs do not fill their hours."""
BUSY_TIMES = 6
"""So many times what the busiest hours of the past weeks spent, minute by minute, is ordinary at any hour: what comes
now and then, and fills a quarter of an hour, may have been larger than any of the recent past."""
_PERCENT_OF_BUSY_HOUR = 95
_PERCENT_OF_BUSIEST_HOURS = 99


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """What is ordinary.

    Attributes:
        minute: spend of active minutes.
        ten_minutes: spend of the ten minutes that end with an active one.
        calls: calls of active minutes.
        usual_cost: what a call costs, the median over active minutes, in nano-units.
        season: what is usually spent in this hour of the week, in nano-units, where that is more than the recent past
            knows; else 0. A usually quiet hour does not lower what is ordinary: who works at night for once, as by
            day, is no runaway.
        busiest_hours: what was spent in the busiest hundredth of the active hours of the past weeks, in nano-units.
    """

    minute: Spread
    ten_minutes: Spread
    calls: Spread
    usual_cost: int
    season: int = 0
    busiest_hours: int = 0

    def floor(self, minutes: int) -> int:
        """What is ordinary in one minute or in ten by what hours have spent, whatever the last minutes say."""
        return max(SEASON_TIMES * self.season, BUSY_TIMES * self.busiest_hours) * minutes // 60

    def expected(self, minutes: int) -> int:
        """What is ordinary in one minute or in ten."""
        spread = self.minute if minutes == 1 else self.ten_minutes
        return max(spread.middle, self.season * minutes // 60)


def baseline_of(
    minutes: Sequence[Minute],
    hours: Sequence[Hour],
    now_us: int,
    left_out: Sequence[tuple[int, int]] = (),
) -> Baseline | None:
    """The baseline at an instant; None where there is too little history.

    Args:
        minutes: in order of time. The last `JUDGED_MINUTES` are not counted, nor those before the recent past.
        hours: in order of time, from as many weeks back as there are.
        now_us: UTC µs.
        left_out: stretches of time (UTC µs, without their end) that were runaways, and shall not become ordinary.
    """
    active = _recent(minutes, now_us, left_out)
    if len(active) < ACTIVE_MINUTES_LEAST:
        return None
    spend = [(minute.starts_at, minute.spent) for minute in active]
    costs = sorted(minute.spent // max(1, minute.calls) for minute in active)
    return Baseline(
        minute=spread_of([minute.spent for minute in active]),
        ten_minutes=spread_of(rolling(spend, LONG_MINUTES)),
        calls=spread_of([minute.calls for minute in active]),
        usual_cost=quantile(costs, 50),
        season=season_of(rolling(spend, 60), hours, now_us),
        busiest_hours=_busiest(hours, now_us, left_out),
    )


def _recent(minutes: Sequence[Minute], now_us: int, left_out: Sequence[tuple[int, int]]) -> list[Minute]:
    until = now_us - now_us % MINUTE_US - (JUDGED_MINUTES - 1) * MINUTE_US
    found: list[Minute] = []
    for minute in reversed(minutes):
        if len(found) == ACTIVE_MINUTES_MOST or minute.starts_at < now_us - RECENT_US:
            break
        if minute.starts_at >= until or minute.spent <= 0:
            continue
        if not any(first <= minute.starts_at < end for first, end in left_out):
            found.append(minute)
    found.reverse()
    return found


def _busiest(hours: Sequence[Hour], now_us: int, left_out: Sequence[tuple[int, int]]) -> int:
    this_hour = now_us - now_us % HOUR_US
    spent = sorted(
        hour.spent
        for hour in hours
        if hour.spent > 0
        and hour.starts_at < this_hour
        and not any(first < hour.starts_at + HOUR_US and hour.starts_at < end for first, end in left_out)
    )
    return quantile(spent, _PERCENT_OF_BUSIEST_HOURS) if spent else 0


def season_of(recent_hours: Sequence[int], hours: Sequence[Hour], now_us: int) -> int:
    """What is usually spent in this hour of the week, where it is busier than the busy hours of the recent past; or 0.

    Of each week the busiest of the hour and its two neighbours counts, as what comes weekly seldom comes on the minute;
    of the weeks, the median.
    """
    this_hour = now_us - now_us % HOUR_US
    if not hours or hours[0].starts_at > this_hour - SEASON_WEEKS_LEAST * WEEK_HOURS * HOUR_US:
        return 0
    by_start = {hour.starts_at: hour.spent for hour in hours}
    busiest = []
    for week in range(1, SEASON_WEEKS_MOST + 1):
        middle = this_hour - week * WEEK_HOURS * HOUR_US
        if middle < hours[0].starts_at:
            break
        busiest.append(max(by_start.get(middle + each * HOUR_US, 0) for each in (-1, 0, 1)))
    usual = quantile(sorted(busiest), 50)
    recent = quantile(sorted(recent_hours), _PERCENT_OF_BUSY_HOUR)
    return usual if usual > SEASON_BUSIER_TIMES * recent else 0
