"""How good the detector is: injected runaways found and how soon, and pauses of what was ordinary."""

from collections.abc import Callable, Iterable, Iterator
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
    Call,
    Customer,
    calls,
    calls_of_minute,
)
from billing_pipeline_tests.guardrails.velocity.trial import Played, Runaway, play

TERMS = VelocityTerms(least_spend_per_minute=NANO // 20)
"""Five cents in a minute never pause. No absolute threshold: the baseline has to find all by itself."""
HISTORY_MINUTES = 4 * WEEK_MINUTES
STRENGTHS = (3, 5, 10, 30, 100)
LENGTHS_MINUTES = (3, 10, 30)


@dataclass
class Score:
    """Counts of any number of runaways; `seconds` is the time to pause of every one that was found."""

    injected: int = 0
    without_baseline: int = 0
    found: int = 0
    seconds: list[float] = field(default_factory=list)

    @property
    def recall(self) -> float:
        judged = self.injected - self.without_baseline
        return self.found / judged if judged else 1.0

    def time_to_pause(self, percent: int) -> float:
        """In seconds; 0 where nothing was found."""
        if len(self.seconds) < 2:
            return sum(self.seconds)
        return quantiles(self.seconds, n=100, method="inclusive")[percent - 1]

    def include(self, other: "Score") -> None:
        """Count other runaways in."""
        self.injected += other.injected
        self.without_baseline += other.without_baseline
        self.found += other.found
        self.seconds += other.seconds

    def add(self, runaway: Runaway, played: Played) -> None:
        """Count one runaway."""
        self.injected += 1
        if runaway not in played.judged:
            self.without_baseline += 1
            return
        found = [at for at in played.pauses if runaway.has(at)]
        if found:
            self.found += 1
            self.seconds.append((found[0] - runaway.starts_at) / 1_000_000)


@dataclass
class Scores:
    """Of any number of customers: by the strength of the runaways, and what was paused without any."""

    weeks: float = 0.0
    false_pauses: int = 0
    by_strength: dict[float, Score] = field(default_factory=lambda: {each: Score() for each in STRENGTHS})

    def add(self, played: Played, runaways: list[Runaway], weeks: float) -> None:
        """Count one customer."""
        self.weeks += weeks
        self.false_pauses += sum(not any(each.has(at) for each in runaways) for at in played.pauses)
        for each in runaways:
            self.by_strength[each.strength].add(each, played)

    def include(self, other: "Scores") -> None:
        """Count other customers in."""
        self.weeks += other.weeks
        self.false_pauses += other.false_pauses
        for strength, score in other.by_strength.items():
            self.by_strength[strength].include(score)

    def from_strength(self, least: float) -> Score:
        """All runaways that are at least so strong."""
        whole = Score()
        for strength, score in self.by_strength.items():
            if strength >= least:
                whole.include(score)
        return whole

    @property
    def precision(self) -> float:
        """Of all pauses, those that had a runaway."""
        found = self.from_strength(0).found
        return found / (found + self.false_pauses) if found else 1.0


def play_week(customer: Customer, seed: int, terms: VelocityTerms = TERMS) -> tuple[Played, list[Runaway]]:
    """Four weeks of history, then a week with a runaway of each strength, each on a day of its own, at any hour."""
    random = Random(seed)
    week = range(HISTORY_MINUTES, HISTORY_MINUTES + WEEK_MINUTES)
    history = list(calls(customer, random, range(HISTORY_MINUTES)))
    usual = list(calls(customer, random, week))

    def more(minute: int, strength: float) -> Iterator[Call]:
        return calls_of_minute(customer, random, minute, strength * customer.busy)

    runaways, added = _runaways(random, seed, HISTORY_MINUTES, more)
    return play(history, list(merge(usual, added)), runaways, terms), runaways


def play_agents(
    of_customer: list[Call], seed: int, terms: VelocityTerms = TERMS, *, runaways: bool = True
) -> tuple[Played, list[Runaway]]:
    """A customer of the agent trace from its first call on; the runaways come in the second week.

    A runaway makes so many times the calls of its mean active minute, each at the cost of one of its own calls.
    """
    random = Random(seed)
    active = len({call.at_us // MINUTE_US for call in of_customer})
    first = (of_customer[0].at_us - MONDAY_US) // MINUTE_US // DAY_MINUTES * DAY_MINUTES + WEEK_MINUTES

    def more(minute: int, strength: float) -> Iterator[Call]:
        count = round(strength * len(of_customer) / active)
        starts_at = MONDAY_US + minute * MINUTE_US
        return (
            Call(starts_at + each * MINUTE_US // count, random.choice(of_customer).cost)
            for each in range(count)
        )

    injected, added = _runaways(random, seed, first, more) if runaways else ([], [])
    return play([], list(merge(of_customer, added)), injected, terms), injected


def _runaways(
    random: Random, seed: int, first_minute: int, more: Callable[[int, float], Iterable[Call]]
) -> tuple[list[Runaway], list[Call]]:
    runaways: list[Runaway] = []
    added: list[Call] = []
    for number in range(len(STRENGTHS)):
        strength = STRENGTHS[(seed + number) % len(STRENGTHS)]
        first = first_minute + number * DAY_MINUTES + random.randrange(DAY_MINUTES - 120)
        minutes = range(first, first + random.choice(LENGTHS_MINUTES))
        at = [MONDAY_US + minute * MINUTE_US for minute in (minutes.start, minutes.stop)]
        runaways.append(Runaway(at[0], at[1], strength))
        added += [call for minute in minutes for call in more(minute, strength)]
    return runaways, added
