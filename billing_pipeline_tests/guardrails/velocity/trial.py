"""Plays calls to the detector as the guard's watch does, and keeps when it would have paused."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from billing_pipeline.guardrails.terms import VelocityTerms
from billing_pipeline.guardrails.velocity.baseline import Baseline, baseline_of
from billing_pipeline.guardrails.velocity.detector import judge
from billing_pipeline.guardrails.velocity.series import HOUR_US, MINUTE_US, Hour, Minute
from billing_pipeline_tests.guardrails.velocity.shapes import Call

TICK_US = 10_000_000
BASELINE_US = 60 * MINUTE_US
"""Older than the watch lets them grow: a harder trial, and a quicker one."""
RESUMED_US = 30 * MINUTE_US
"""A person resumes after so long; until then nothing is called."""


class Runaway(NamedTuple):
    """What was injected. Instants are UTC µs."""

    starts_at: int
    ends_at: int
    strength: float

    def has(self, at_us: int) -> bool:
        """Whether a pause at an instant is this one's: while it lasts, or within a minute after."""
        return self.starts_at <= at_us < self.ends_at + MINUTE_US


class Played(NamedTuple):
    """What came of one customer.

    Attributes:
        pauses: instants of all pauses, UTC µs.
        judged: runaways that began when there was a baseline.
    """

    pauses: list[int]
    judged: list[Runaway]


class Watched:
    """A customer's counters as the guard keeps them, and the detector at them every few seconds."""

    def __init__(self, terms: VelocityTerms) -> None:
        self.terms = terms
        self.minutes: list[Minute] = []
        self.hours: list[Hour] = []
        self.left_out: list[tuple[int, int]] = []
        self.baseline: Baseline | None = None
        self.baseline_until = 0

    def count(self, call: Call) -> None:
        minute, hour = call.at_us - call.at_us % MINUTE_US, call.at_us - call.at_us % HOUR_US
        if self.minutes and self.minutes[-1].starts_at == minute:
            last = self.minutes[-1]
            self.minutes[-1] = Minute(minute, last.spent + call.cost, 0, last.calls + 1)
        else:
            self.minutes.append(Minute(minute, call.cost, 0, 1))
        if self.hours and self.hours[-1].starts_at == hour:
            self.hours[-1] = Hour(hour, self.hours[-1].spent + call.cost)
        else:
            self.hours.append(Hour(hour, call.cost))

    def refresh(self, now_us: int) -> None:
        if now_us >= self.baseline_until:
            self.baseline = baseline_of(self.minutes, self.hours, now_us, self.left_out)
            self.baseline_until = now_us + BASELINE_US

    def pauses(self, now_us: int) -> bool:
        self.refresh(now_us)
        return judge(self.minutes[-11:], self.baseline, self.terms, now_us).pauses


def play(
    history: Iterable[Call], calls: Sequence[Call], runaways: Sequence[Runaway], terms: VelocityTerms
) -> Played:
    """Count the history, then play the calls; what is called while paused is denied."""
    watched = Watched(terms)
    for call in history:
        watched.count(call)
    pauses: list[int] = []
    judged: list[Runaway] = []
    waiting = list(runaways)
    resumes_at = tick = 0
    for call in calls:
        tick = tick or call.at_us - call.at_us % TICK_US + TICK_US
        if call.at_us >= tick:
            while tick <= call.at_us and tick <= watched.minutes[-1].starts_at + 2 * MINUTE_US:
                if tick >= resumes_at and watched.pauses(tick):
                    pauses.append(tick)
                    resumes_at = tick + RESUMED_US
                    watched.left_out += [
                        (each.starts_at - MINUTE_US, tick + MINUTE_US) for each in runaways if each.has(tick)
                    ]
                tick += TICK_US
            tick = call.at_us - call.at_us % TICK_US + TICK_US
        if waiting and call.at_us >= waiting[0].starts_at:
            watched.refresh(call.at_us)
            started = waiting.pop(0)
            if watched.baseline is not None:
                judged.append(started)
        if call.at_us >= resumes_at:
            watched.count(call)
    return Played(pauses, judged)
