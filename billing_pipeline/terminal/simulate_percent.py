"""Changes in percent, as text and in bins."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from billing_pipeline.audit.simulated import Beside

NEW = "new"
"""Something is due where nothing was billed; there is no percentage of nothing."""
_EDGES = (0, 5, 10, 20, 50)


class Bin(NamedTuple):
    """How many customers have a change of this size."""

    label: str
    customers: int
    colour: str


def percent_digits(amounts: Beside) -> str | None:
    """The change in percent with two digits, half away from zero: `-20.00`; None where nothing was billed."""
    percent = amounts.percent
    if percent is None:
        return None
    hundredths = (200 * abs(percent.numerator) + percent.denominator) // (2 * percent.denominator)
    sign = "-" if percent < 0 and hundredths else ""
    return f"{sign}{hundredths // 100}.{hundredths % 100:02}"


def percent_text(amounts: Beside) -> str:
    """For people: `+5.00 %`, `new`."""
    digits = percent_digits(amounts)
    if digits is None:
        return NEW
    return f"{'+' if digits.strip('0.') and amounts.difference > 0 else ''}{digits} %"


def bins_of(rows: Sequence[Beside]) -> list[Bin]:
    """The changes from the largest fall to the largest rise; a bin holds its bound that is farther from zero."""
    percents = [each.percent for each in rows]
    known = [each for each in percents if each is not None]
    falls, rises = [], []
    for low, high in zip(_EDGES, (*_EDGES[1:], None), strict=True):
        falls.append(Bin(_label(low, high, "-"), sum(_within(-each, low, high) for each in known), "green"))
        rises.append(Bin(_label(low, high, "+"), sum(_within(each, low, high) for each in known), "red"))
    same = Bin("0 %", known.count(Fraction()), "blue")
    new = Bin(NEW, len(percents) - len(known), "red")
    return [*reversed(falls), same, *rises, new]


def _within(percent: Fraction, low: int, high: int | None) -> bool:
    return percent > low and (high is None or percent <= high)


def _label(low: int, high: int | None, sign: str) -> str:
    start = f"{sign}{low}" if low else "0"
    return f"beyond {start} %" if high is None else f"{start} to {sign}{high} %"
