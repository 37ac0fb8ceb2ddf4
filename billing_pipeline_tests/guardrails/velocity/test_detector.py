"""What pauses and what does not, rule by rule."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_pipeline.guardrails.terms import VelocityTerms
from billing_pipeline.guardrails.velocity.baseline import Baseline, baseline_of
from billing_pipeline.guardrails.velocity.detector import judge, may_be_too_much
from billing_pipeline.guardrails.velocity.series import HOUR_US, MINUTE_US, Hour, Minute
from billing_pipeline.guardrails.velocity.verdict import VelocityRule, Verdict

NOW = 5_000 * HOUR_US + 30_000_000
THIS_MINUTE = NOW - NOW % MINUTE_US
TERMS = VelocityTerms(least_spend_per_minute=500)


def made(*spent: int, calls: int = 2) -> list[Minute]:
    """Minutes that end with this one; 0 is none."""
    first = THIS_MINUTE - (len(spent) - 1) * MINUTE_US
    return [
        Minute(first + number * MINUTE_US, amount, 0, calls) for number, amount in enumerate(spent) if amount
    ]


@cache
def history(spent: int = 100, count: int = 300) -> Baseline:
    """Of even minutes; their threshold is 300 for one minute and 3,000 for ten."""
    before = THIS_MINUTE - 20 * MINUTE_US
    found = baseline_of(
        [Minute(before - each * MINUTE_US, spent, 0, 2) for each in range(count, 0, -1)], [], NOW
    )
    assert found is not None
    return found


def verdict(
    *spent: int, calls: int = 2, baseline: Baseline | None = None, terms: VelocityTerms = TERMS
) -> Verdict:
    """On minutes that end with this one."""
    return judge(made(*spent, calls=calls), baseline, terms, NOW)


def test_a_minute_above_what_anybody_may_spend_pauses_without_any_history() -> None:
    """Held counts as spent there: it was admitted."""
    terms = VelocityTerms(spend_per_minute=1_000)
    found = judge([Minute(THIS_MINUTE, 400, 601, 5)], None, terms, NOW)
    assert (found.rule, found.observed, found.threshold) == (VelocityRule.ABSOLUTE, 1_001, 1_000)
    assert not judge([Minute(THIS_MINUTE, 400, 600, 5)], None, terms, NOW).pauses


def test_an_absolute_threshold_looks_at_this_minute_and_the_one_before() -> None:
    """What is longer ago has been judged."""
    terms = VelocityTerms(spend_per_minute=1_000)
    assert verdict(5_000, 0, terms=terms).pauses
    assert not verdict(5_000, 0, 0, terms=terms).pauses


def test_calls_that_cost_too_much_in_the_mean_pause() -> None:
    """Whatever is spent in all."""
    terms = VelocityTerms(cost_per_call=100)
    found = verdict(606, calls=6, terms=terms)
    assert (found.rule, found.observed, found.threshold) == (VelocityRule.COST_PER_CALL, 101, 100)
    assert not verdict(600, calls=6, terms=terms).pauses


def test_the_first_ordinary_use_of_a_quiet_customer_does_not_pause() -> None:
    """Without history nothing is too much but what anybody may not spend."""
    found = verdict(90_000, 80_000, 70_000, calls=500)
    assert (found.pauses, found.severity, found.deviation) == (False, "none", 0.0)


def test_a_hundred_times_pauses_within_the_minute() -> None:
    """Its calls show that it is no single one."""
    found = verdict(100, 10_000, calls=200, baseline=history())
    assert (found.rule, found.minutes, found.expected, found.severity) == (
        VelocityRule.BASELINE,
        1,
        100,
        "high",
    )
    assert found.observed > found.threshold


def test_one_huge_call_does_not_pause_and_a_second_one_does() -> None:
    """It was admitted with its price known; what repeats is another matter."""
    once = verdict(100, 50_000, calls=1, baseline=history())
    assert (once.pauses, once.severity) == (False, "low")
    assert verdict(50_000, 100, 0, 0, calls=1, baseline=history()).pauses is False
    assert verdict(50_000, 100, 50_000, calls=1, baseline=history()).rule is VelocityRule.BASELINE


def test_one_huge_call_does_not_make_ten_minutes_too_much() -> None:
    """Of one minute no more counts among ten than would be too much by itself."""
    assert not verdict(*[250] * 5, 90_000, *[250] * 4, calls=2, baseline=history()).pauses


def test_ten_minutes_of_a_little_too_much_pause() -> None:
    """No single one of them would, as single minutes are uneven."""
    before = THIS_MINUTE - 20 * MINUTE_US
    uneven = baseline_of(
        [Minute(before - each * MINUTE_US, 190 if each % 2 else 10, 0, 2) for each in range(300, 0, -1)],
        [],
        NOW,
    )
    found = verdict(*[350] * 10, baseline=uneven, terms=VelocityTerms())
    assert (found.rule, found.minutes, found.observed, found.expected) == (
        VelocityRule.BASELINE,
        10,
        3_500,
        1_000,
    )
    assert not verdict(0, 0, 0, *[350] * 7, baseline=uneven, terms=VelocityTerms()).pauses


def test_less_than_the_least_never_pauses() -> None:
    """However far from the baseline."""
    assert not verdict(499, 499, 499, calls=90, baseline=history(spent=1)).pauses
    assert verdict(501, 501, 501, calls=90, baseline=history(spent=1)).pauses


def test_a_ramp_that_takes_hours_does_not_pause() -> None:
    """From one to eight times within six hours: what is ordinary grows with it."""
    growth = 8 ** (1 / 360)
    amount = 1_000.0
    minutes = [Minute(NOW - NOW % MINUTE_US - each * MINUTE_US, 1_000, 0, 3) for each in range(700, 360, -1)]
    for each in range(360, 0, -1):
        amount *= growth
        minutes.append(Minute(THIS_MINUTE - each * MINUTE_US, int(amount), 0, 3))
        now = minutes[-1].starts_at + 59_000_000
        assert not judge(minutes[-10:], baseline_of(minutes, [], now), TERMS, now).pauses


def test_worst_case_holds_of_ordinary_calls_do_not_pause() -> None:
    """Two calls of fifty each, held at a thousand: past minutes are real cost, and this one is not yet."""
    minutes = [Minute(THIS_MINUTE - MINUTE_US, 0, 2_000, 2), Minute(THIS_MINUTE, 0, 2_000, 2)]
    assert not judge(minutes, history(), TERMS, NOW).pauses


@settings(deadline=None)  # a busy machine is no fault
@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=10),
    st.integers(1, 50),
    st.integers(0, 10**4),
)
def test_where_nothing_may_be_too_much_nothing_pauses(spent: list[int], calls: int, least: int) -> None:
    """The quick look that spares reading a baseline never misses a pause."""
    terms = VelocityTerms(least_spend_per_minute=least, spend_per_minute=700_000, cost_per_call=600_000)
    minutes = made(*spent, calls=calls)
    if not may_be_too_much(minutes, terms):
        assert not judge(minutes, history(), terms, NOW).pauses


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=10), st.integers(1, 50))
def test_more_in_the_last_minutes_never_lets_a_runaway_go(spent: list[int], calls: int) -> None:
    """Whatever pauses also pauses when every minute spends twice as much with the same calls."""
    if judge(made(*spent, calls=calls), history(), TERMS, NOW).pauses:
        assert judge(made(*[2 * each for each in spent], calls=calls), history(), TERMS, NOW).pauses


def test_a_silent_customer_is_not_judged() -> None:
    """No minute, no pause."""
    assert judge([], history(), TERMS, NOW) == Verdict(since=THIS_MINUTE, observed=0)


@pytest.mark.parametrize("later_us", [0, 29_000_000])
def test_the_same_minutes_give_the_same_verdict(later_us: int) -> None:
    """Within a minute it does not matter when one looks."""
    assert judge(made(900, 900), history(), TERMS, NOW) == judge(
        made(900, 900), history(), TERMS, NOW + later_us
    )


def test_what_busy_hours_of_the_past_weeks_spent_does_not_pause() -> None:
    """A campaign now and then, that the last day knows nothing of; far beyond the largest of them it does."""
    campaigns = [
        Hour(THIS_MINUTE - each * HOUR_US, 60_000 if each % 40 == 0 else 6_000) for each in range(300, 1, -1)
    ]
    before = THIS_MINUTE - 20 * MINUTE_US
    recent = [Minute(before - each * MINUTE_US, 100, 0, 2) for each in range(300, 0, -1)]
    baseline = baseline_of(recent, campaigns, NOW)
    assert verdict(*[3_000] * 10, calls=60, baseline=baseline).pauses is False
    assert verdict(*[3_000] * 10, calls=60, baseline=history()).pauses is True
    assert verdict(7_000, 7_000, calls=60, baseline=baseline).pauses is True
