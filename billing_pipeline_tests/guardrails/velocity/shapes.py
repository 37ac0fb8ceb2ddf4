"""Made-up customers with weeks of calls, each different and each the same for the same seed. Amounts are nano-units."""

import math
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

from billing_pipeline.guardrails.nano import NANO
from billing_pipeline.guardrails.velocity.series import MINUTE_US

DAY_MINUTES = 24 * 60
WEEK_MINUTES = 7 * DAY_MINUTES
MONDAY_US = 1_790_553_600_000_000
"""A Monday, 00:00 UTC, on which every history begins."""

Rate = Callable[[int], float]
"""Calls expected in a minute, by its number from the start."""


class Call(NamedTuple):
    """One action, settled at once."""

    at_us: int
    cost: int


class Customer(NamedTuple):
    """How a customer works.

    Attributes:
        busy: calls in a minute while it is busy: what a runaway is a multiple of.
        cost, spread: median cost of a call, and the spread of its logarithm.
    """

    name: str
    rate: Rate
    busy: float
    cost: int
    spread: float


def _customer(name: str, random: Random, rate: Rate, busy: float) -> Customer:
    cost = int(NANO * 0.01 * 10 ** random.uniform(-0.5, 1))
    return Customer(name, rate, busy, cost, random.uniform(0.6, 1.3))


def steady(random: Random) -> Customer:
    """A product with users all over the world."""
    busy = random.uniform(2, 30)
    return _customer("steady", random, lambda _minute: busy, busy)


def office_hours(random: Random) -> Customer:
    """Busy on weekdays from eight to six, with a slow morning; hardly anything else."""
    busy, opens = random.uniform(3, 20), random.randint(6, 9) * 60

    def rate(minute: int) -> float:
        weekday, of_day = minute // DAY_MINUTES % 7, minute % DAY_MINUTES - opens
        if weekday > 4 or not 0 <= of_day < 600:
            return 0.02 * busy
        return busy * min(1, 0.1 + of_day / 120)

    return _customer("office hours", random, rate, busy)


def batch(random: Random) -> Customer:
    """Little by day, and a job every night at about the same time."""
    busy, starts, length = random.uniform(30, 120), random.randint(0, 240), random.randint(20, 60)
    begins = [starts + random.randint(-20, 20) for _ in range(200)]

    def rate(minute: int) -> float:
        of_day = minute % DAY_MINUTES - begins[minute // DAY_MINUTES]
        return busy if 0 <= of_day < length else 0.3

    return _customer("nightly batch", random, rate, busy)


def weekly(random: Random) -> Customer:
    """A little all day, and once a week a long job of a hundred times as much."""
    little, starts = random.uniform(0.5, 2), random.randint(0, WEEK_MINUTES - 300)
    busy = 50 * little

    def rate(minute: int) -> float:
        return busy if 0 <= minute % WEEK_MINUTES - starts < 120 else little

    return _customer("weekly batch", random, rate, busy)


def quiet(random: Random) -> Customer:
    """A few sessions in a week, at any time."""
    busy = random.uniform(1, 4)
    starts = [random.randrange(8 * WEEK_MINUTES) for _ in range(8 * random.randint(3, 8))]
    active = {start + each for start in starts for each in range(random.randint(5, 30))}
    return _customer("quiet", random, lambda minute: busy if minute in active else 0, busy)


def growing(random: Random) -> Customer:
    """A day and a night, and five in a hundred more every day; in the end four times what it was."""
    first, growth = random.uniform(2, 8), random.uniform(0.02, 0.07)

    def rate(minute: int) -> float:
        day = 1 + 0.7 * math.sin(2 * math.pi * (minute % DAY_MINUTES) / DAY_MINUTES)
        return first * day * math.exp(growth * minute / DAY_MINUTES)

    return _customer("growing", random, rate, first * math.exp(growth * 31))


def bursts(random: Random) -> Customer:
    """Campaigns at any time, four a day, each of another size; some are five times the usual one."""
    base = random.uniform(1, 8)
    times = [1.0] * (8 * WEEK_MINUTES)
    for _ in range(4 * 8 * 7):
        start, size = random.randrange(len(times)), math.exp(random.gauss(math.log(4), 0.8))
        for minute in range(start, min(len(times), start + random.randint(5, 40))):
            times[minute] = max(times[minute], size)
    return _customer("bursts", random, lambda minute: base * times[minute], 4 * base)


SHAPES = (steady, office_hours, batch, weekly, quiet, growing, bursts)


def calls(customer: Customer, random: Random, minutes: range) -> Iterator[Call]:
    """The calls of some minutes, in order of time."""
    for minute in minutes:
        yield from calls_of_minute(customer, random, minute, customer.rate(minute))


def calls_of_minute(customer: Customer, random: Random, minute: int, rate: float) -> Iterator[Call]:
    """So many calls of a customer in one minute, give or take, in order of time."""
    count = _poisson(random, rate)
    for second in sorted(random.random() for _ in range(count)):
        cost = int(customer.cost * math.exp(random.gauss(0, customer.spread)))
        yield Call(MONDAY_US + minute * MINUTE_US + int(second * MINUTE_US), cost)


def _poisson(random: Random, mean: float) -> int:
    if mean > 50:
        return max(0, round(random.gauss(mean, math.sqrt(mean))))
    count, product, limit = 0, random.random(), math.exp(-mean)
    while product > limit:
        count += 1
        product *= random.random()
    return count
