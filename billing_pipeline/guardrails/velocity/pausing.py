"""A pause as the ledger takes it: the sentence and the evidence that people decide by."""

from collections.abc import Sequence

import msgspec

from billing_pipeline.contract.instants import instant_text
from billing_pipeline.guardrails.commands import Stop
from billing_pipeline.guardrails.nano import nano_words
from billing_pipeline.guardrails.terms import VelocityTerms
from billing_pipeline.guardrails.velocity.series import MINUTE_US, Minute
from billing_pipeline.guardrails.velocity.verdict import VelocityRule, Verdict

WHO = "velocity"
SERIES_MINUTES = 60
"""Of the minutes before the pause so many are shown."""


def pause_of(
    scope: str,
    currency: str,
    verdict: Verdict,
    terms: VelocityTerms,
    *,
    series: Sequence[Minute],
    now_us: int,
) -> Stop:
    """The pause that a verdict calls for at an instant (UTC µs).

    `series` are the active minutes up to it, in order of time.
    """
    # To the minute, so that two watches that find the same ask for the same.
    minute_end = now_us - now_us % MINUTE_US + MINUTE_US
    after = terms.resume_after_seconds
    return Stop(
        scope=scope,
        kind="pause",
        who=WHO,
        why=sentence(verdict, currency),
        resumes_at=None if after is None else minute_end + after * 1_000_000,
        currency=currency,
        review_kind="velocity",
        evidence=msgspec.json.encode(
            {
                "rule": str(verdict.rule),
                "since": instant_text(verdict.since),
                "minutes": verdict.minutes,
                "observed": str(verdict.observed),
                "expected": str(verdict.expected),
                "threshold": str(verdict.threshold),
                "deviation": f"{verdict.deviation:.1f}",
                "severity": verdict.severity,
                "series": [
                    {
                        "starts_at": instant_text(minute.starts_at),
                        "spent": str(minute.spent),
                        "held": str(minute.held),
                        "calls": minute.calls,
                    }
                    for minute in series[-SERIES_MINUTES:]
                ],
            }
        ).decode(),
    )


def sentence(verdict: Verdict, currency: str) -> str:
    """Why, for people."""
    observed, threshold = (nano_words(amount, currency) for amount in (verdict.observed, verdict.threshold))
    if verdict.rule is VelocityRule.COST_PER_CALL:
        return f"a call cost {observed} in the mean of a minute; {threshold} is the most that the plan allows"
    if verdict.rule is VelocityRule.ABSOLUTE:
        return f"{observed} in a minute; {threshold} is the most that the plan allows"
    span = "a minute" if verdict.minutes == 1 else f"{verdict.minutes} minutes"
    return (
        f"{observed} in {span}, where {nano_words(verdict.expected, currency)} is usual "
        f"and {threshold} the most that is ordinary"
    )
