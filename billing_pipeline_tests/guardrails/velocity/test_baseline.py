"""What is ordinary: the last active minutes, and this hour of the week."""

from billing_pipeline.guardrails.velocity.baseline import ACTIVE_MINUTES_LEAST, baseline_of
from billing_pipeline.guardrails.velocity.series import HOUR_US, MINUTE_US, Hour, Minute

WEEK_US = 168 * HOUR_US
NOW = 100 * WEEK_US + 9 * HOUR_US + 30 * MINUTE_US


def minutes(count: int, spent: int = 100, *, before_us: int = NOW - 20 * MINUTE_US) -> list[Minute]:
    """The last of them some minutes before now, one after the other."""
    return [Minute(before_us - (count - number) * MINUTE_US, spent, 0, 2) for number in range(count)]


def test_with_little_history_there_is_no_baseline() -> None:
    """One active minute more makes one."""
    assert baseline_of(minutes(ACTIVE_MINUTES_LEAST - 1), [], NOW) is None
    assert baseline_of(minutes(ACTIVE_MINUTES_LEAST), [], NOW) is not None


def test_only_the_recent_past_counts() -> None:
    """Nothing before the last 1,440 active minutes or 14 days, and nothing of the minutes that are judged."""
    old = minutes(3_000, 9_000, before_us=NOW - 15 * 24 * HOUR_US)
    long_ago = minutes(100, 7_000, before_us=NOW - 5_000 * MINUTE_US)
    judged = [Minute(NOW - 9 * MINUTE_US + each * MINUTE_US, 5_000) for each in range(10)]
    found = baseline_of(old + long_ago + minutes(1_440) + judged, [], NOW)
    assert found is not None
    assert (found.minute.count, found.minute.high, found.calls.middle, found.usual_cost) == (
        1_440,
        100,
        2,
        50,
    )


def test_a_runaway_that_was_left_out_does_not_become_ordinary() -> None:
    """An hour of it would else be what is high."""
    runaway = (NOW - 200 * MINUTE_US, NOW - 140 * MINUTE_US)
    series = minutes(300)
    wild = [
        Minute(each.starts_at, 9_000, 0, 90) if runaway[0] <= each.starts_at < runaway[1] else each
        for each in series
    ]
    left_out = baseline_of(wild, [], NOW, [runaway])
    counted = baseline_of(wild, [], NOW)
    assert left_out is not None
    assert counted is not None
    assert (left_out.minute.high, counted.minute.high) == (100, 9_000)


def weekly(spent: int, weeks: int) -> list[Hour]:
    """An hour in each of some weeks, an hour earlier in the week than now, and a little in all others."""
    hours = [Hour(start, 10) for start in range(NOW - weeks * WEEK_US - NOW % HOUR_US, NOW, 12 * HOUR_US)]
    hours += [Hour(NOW - NOW % HOUR_US - week * WEEK_US - HOUR_US, spent) for week in range(1, weeks)]
    return sorted(hours, key=lambda hour: hour.starts_at)


def test_an_hour_of_the_week_that_is_usually_busy_is_expected() -> None:
    """What it usually is, by the median of its weeks and by the busiest of the hours beside it."""
    found = baseline_of(minutes(600), weekly(600_000, 6), NOW)
    assert found is not None
    assert found.season == 600_000
    assert found.expected(1) == 10_000
    assert found.expected(10) == 100_000


def test_two_weeks_are_no_season() -> None:
    """Once may be chance."""
    found = baseline_of(minutes(600), weekly(600_000, 3)[-200:], NOW)
    short = baseline_of(
        minutes(600), [hour for hour in weekly(600_000, 3) if hour.starts_at > NOW - 2 * WEEK_US], NOW
    )
    assert found is not None
    assert short is not None
    assert short.season == 0


def test_a_usually_quiet_hour_lowers_nothing() -> None:
    """Who works at night for once, as by day, is no runaway."""
    found = baseline_of(minutes(600), weekly(1, 6), NOW)
    assert found is not None
    assert (found.season, found.expected(1)) == (0, 100)


def test_the_busiest_hours_of_the_past_weeks_are_known() -> None:
    """Not this one, and none with a runaway in it; six times as much as they, minute by minute, is ordinary."""
    this_hour = NOW - NOW % HOUR_US
    hours = [Hour(this_hour - each * HOUR_US, 600) for each in range(40, 0, -1)]
    hours[7] = Hour(hours[7].starts_at, 60_000)
    hours[9] = Hour(hours[9].starts_at, 900_000)
    runaway = (hours[9].starts_at + 50 * MINUTE_US, hours[9].starts_at + 70 * MINUTE_US)
    found = baseline_of(minutes(100), [*hours, Hour(this_hour, 10**9)], NOW, [runaway])
    assert found is not None
    assert found.busiest_hours == 60_000
    assert (found.floor(1), found.floor(10)) == (6_000, 60_000)
