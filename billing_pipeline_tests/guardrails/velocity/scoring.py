"""How good the detector is: injected runaways found and how soon, and pauses of what was ordinary."""

from dataclasses import dataclass, field
from heapq import merge
from random import Random
from statistics import quantiles

from billing_pipeline.guardrails.nano import NANO
from billing_pipeline.guardrails.terms import VelocityTerms
from billing_pipeline.guardrails.velocity.series import MINUTE_US
from billing_pipeline_tests.guardrails.velocity.shapes import (
    DAY_MINUTES,
    MONDAY_US,
    WEEK_MINUTES,
    Customer,
    calls,
    calls_of_minute,
)
from billing_pipeline_tests.guardrails.velocity.trial import Played, Runaway, play

TERMS = VelocityTerms(least_spend_per_minute=NANO // 2)
HISTORY_MINUTES = 4 * WEEK_MINUTES
STRENGTHS = (3, 5, 10, 30, 100)
LENGTHS_MINUTES = (3, 10, 30)
RUNAWAYS_A_WEEK = 5
NOTICED_US = MINUTE_US
"""What was still found so soon after its end counts as found."""


@dataclass
class Score:
    """Counts of any number of customers; `seconds` is the time to pause of every runaway that was found."""

    weeks: float = 0.0
    false_pauses: int = 0
    injected: int = 0
    without_baseline: int = 0
    found: int = 0
    seconds: list[float] = field(default_factory=list)

    @property
    def precision(self) -> float:
        pauses = self.found + self.false_pauses
        return self.found / pauses if pauses else 1.0

    @property
    def recall(self) -> float:
        judged = self.injected - self.without_baseline
        return self.found / judged if judged else 1.0

    def time_to_pause(self, percent: int) -> float:
        """In seconds; 0 where nothing was found."""
        if len(self.seconds) < 2:
            return sum(self.seconds)
        return quantiles(self.seconds, n=100, method="inclusive")[percent - 1]

    def add(self, played: Played, runaways: list[Runaway], strength: float, weeks: float) -> None:
        """Count one customer's runaways of a strength, and all its false pauses if that is 0."""
        if strength == 0:
            self.weeks += weeks
            self.false_pauses += sum(
                not any(each.starts_at <= at < each.ends_at + NOTICED_US for each in runaways)
                for at in played.pauses
            )
        for each in runaways:
            if strength not in (0, each.strength):
                continue
            self.injected += 1
            if each not in played.judged:
                self.without_baseline += 1
                continue
            found = [at for at in played.pauses if each.starts_at <= at < each.ends_at + NOTICED_US]
            if found:
                self.found += 1
                self.seconds.append((found[0] - each.starts_at) / 1_000_000)


def play_week(customer: Customer, seed: int, strengths: tuple[float, ...] = STRENGTHS) -> tuple[Played, list[Runaway]]:
    """Four weeks of history, then a week with runaways at hours at which the customer is busy."""
    random = Random(seed)
    week = range(HISTORY_MINUTES, HISTORY_MINUTES + WEEK_MINUTES)
    history = list(calls(customer, random, range(HISTORY_MINUTES)))
    usual = calls(customer, random, week)
    runaways: list[Runaway] = []
    added = []
    for number in range(min(RUNAWAYS_A_WEEK, len(strengths))):
        strength = strengths[(seed + number) % len(strengths)]
        first = HISTORY_MINUTES + number * DAY_MINUTES + random.randrange(DAY_MINUTES - 120)
        length = random.choice(LENGTHS_MINUTES)
        minutes = range(first, first + length)
        runaways.append(
            Runaway(MONDAY_US + first * MINUTE_US, MONDAY_US + minutes.stop * MINUTE_US, strength)
        )
        added += [
            call
            for minute in minutes
            for call in calls_of_minute(customer, random, minute, strength * customer.busy)
        ]
    return play(history, list(merge(usual, added)), runaways, TERMS), runaways
