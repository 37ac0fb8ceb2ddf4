"""Judges whether spend has run away: by what nobody may spend, and by what this customer or project ordinarily does.

Three ways to be too much by the baseline, each meant to be no matter of one call, which the guard has let through with
its price known:

* two of the last three minutes are each too much;
* one of them has too many calls; then half as many deviations are too much, of calls and of spend: a loop shows in its
  calls before it does in its spend, which is far less even;
* the last ten minutes together are too much, and no single one of them makes them so.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from billing_pipeline.guardrails.terms import VelocityTerms
from billing_pipeline.guardrails.velocity.baseline import LONG_MINUTES, Baseline
from billing_pipeline.guardrails.velocity.series import MINUTE_US, Minute
from billing_pipeline.guardrails.velocity.spread import Spread
from billing_pipeline.guardrails.velocity.verdict import Severity, VelocityRule, Verdict

SHORT_MINUTES = 3
TIMES_HIGH = 2
"""Whatever the deviations are: less than so many times what the busiest hundredth of the past spent never pauses."""
CALLS_LEAST = 10
"""Fewer calls in a minute are never too many."""


def judge(minutes: Sequence[Minute], baseline: Baseline | None, terms: VelocityTerms, now_us: int) -> Verdict:
    """The verdict on the last minutes.

    Args:
        minutes: those of the last ten that had calls, in order of time; the one that holds `now_us` may be the last.
        baseline: what is ordinary; None where there is too little history, then only absolute thresholds apply.
        terms: what the plan says.
        now_us: UTC µs.
    """
    this_minute = now_us - now_us % MINUTE_US
    recent = [
        each for each in minutes if this_minute - LONG_MINUTES * MINUTE_US < each.starts_at <= this_minute
    ]
    found = _absolute(recent[-2:], this_minute, terms)
    if found is not None:
        return found
    if baseline is None or not recent:
        return Verdict(since=this_minute, observed=recent[-1].spent if recent else 0)
    return _by_baseline(recent, baseline, terms, this_minute)


def may_be_too_much(minutes: Sequence[Minute], terms: VelocityTerms) -> bool:
    """Whether `judge` could pause at all; false for most, and then nobody needs a baseline."""
    return any(
        minute.most >= terms.least_spend_per_minute
        or (terms.spend_per_minute is not None and minute.most > terms.spend_per_minute)
        or (terms.cost_per_call is not None and minute.most > terms.cost_per_call * max(1, minute.calls))
        for minute in minutes
    )


def threshold_of(spread: Spread, deviations: float, times_high: int) -> int:
    """More than this is too much: so many deviations above the middle, and so many times what was high, at least."""
    return max(round(spread.middle + deviations * spread.scale), times_high * spread.high)


def severity_of(observed: int, threshold: int, expected: int) -> Severity:
    """`high` above the threshold, `low` above the middle between what is expected and the threshold."""
    if observed > threshold:
        return "high"
    return "low" if 2 * observed > threshold + expected else "none"


def _absolute(last: Sequence[Minute], this_minute: int, terms: VelocityTerms) -> Verdict | None:
    for minute in last:
        if minute.starts_at < this_minute - MINUTE_US:
            continue
        for rule, observed, most in (
            (VelocityRule.ABSOLUTE, minute.most, terms.spend_per_minute),
            (VelocityRule.COST_PER_CALL, minute.most // max(1, minute.calls), terms.cost_per_call),
        ):
            if most is not None and observed > most:
                return Verdict(
                    rule=rule, since=minute.starts_at, observed=observed, threshold=most, severity="high"
                )
    return None


def _by_baseline(
    recent: Sequence[Minute], baseline: Baseline, terms: VelocityTerms, this_minute: int
) -> Verdict:
    least = terms.least_spend_per_minute
    spend = [(minute.likely(baseline.usual_cost), minute) for minute in recent]
    short = [each for each in spend if each[1].starts_at > this_minute - SHORT_MINUTES * MINUTE_US]
    floor = max(least, baseline.floor(1))
    most = max(floor, threshold_of(baseline.minute, terms.deviations, TIMES_HIGH))
    most_of_many = max(floor, threshold_of(baseline.minute, terms.deviations / 2, 1))
    many = max(CALLS_LEAST, threshold_of(baseline.calls, terms.deviations / 2, TIMES_HIGH))
    for amount, minute in short:
        if minute.calls > many and amount > most_of_many:
            return _verdict(baseline, amount, most_of_many, since=minute.starts_at, minutes=1)
    over = [each for each in short if each[0] > most]
    observed, worst = max(over or spend, key=lambda each: each[0])
    one = _verdict(baseline, observed, most, since=worst.starts_at, minutes=1)
    if len(over) > 1:
        return one
    # Of a single minute no more counts than would be too much by itself: ten minutes say what repeats.
    ten = _verdict(
        baseline,
        sum(min(amount, most) for amount, _ in spend if amount >= least),
        max(
            least,
            baseline.floor(LONG_MINUTES),
            threshold_of(baseline.ten_minutes, terms.deviations, TIMES_HIGH),
        ),
        since=recent[0].starts_at,
        minutes=LONG_MINUTES,
    )
    return (
        ten if ten.pauses else replace(one, rule=None, severity="none" if one.severity == "none" else "low")
    )


def _verdict(baseline: Baseline, observed: int, threshold: int, *, since: int, minutes: int) -> Verdict:
    expected = baseline.expected(minutes)
    spread = baseline.minute if minutes == 1 else baseline.ten_minutes
    severity = severity_of(observed, threshold, expected)
    return Verdict(
        rule=VelocityRule.BASELINE if severity == "high" else None,
        since=since,
        minutes=minutes,
        observed=observed,
        expected=expected,
        deviation=spread.deviation(observed),
        threshold=threshold,
        severity=severity,
    )
