"""A robust statistic: where the middle of some amounts lies, how far they spread, and how high they reach.

Amounts are heavy-tailed (one call costs a thousand times another), and what is looked for is among them. So there is
no mean and no standard deviation, which a single amount moves as far as it likes, but quantiles.
"""

from collections.abc import Sequence

import msgspec

DEVIATION_OF_MAD = 1.4826
"""Of a normal distribution the standard deviation is so many times the median absolute deviation."""
DEVIATIONS_TO_Q95 = 1.6449
"""Of a normal distribution the 95th percentile lies so many standard deviations above the median."""
LEAST_SCALE = 0.25
"""Of the median: an even series is not paused for a little more."""


class Spread(msgspec.Struct, frozen=True, gc=False):
    """Of some amounts in nano-units.

    `scale` is a float: it only serves to judge, and is never booked. It is made of whole amounts by the same few
    operations in the same order, so the same amounts give the same scale on every machine.
    """

    count: int
    middle: int
    scale: float
    high: int
    """The 99th percentile."""

    def deviation(self, amount: int) -> float:
        """How many robust deviations above the middle an amount is; below it, negative."""
        return (amount - self.middle) / self.scale if self.scale else 0.0


def quantile(ordered: Sequence[int], percent: int) -> int:
    """The smallest of some amounts in order that `percent` of them do not exceed: always one of them, never between."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def spread_of(amounts: Sequence[int]) -> Spread:
    """The statistic of at least one amount.

    Of the median absolute deviation and the way from the median to the 95th percentile the larger is the scale: the
    former says nothing of a customer that is quiet most of the time and busy now and then.
    """
    ordered = sorted(amounts)
    middle = quantile(ordered, 50)
    mad = quantile(sorted(abs(amount - middle) for amount in ordered), 50)
    above = quantile(ordered, 95) - middle
    scale = max(DEVIATION_OF_MAD * mad, above / DEVIATIONS_TO_Q95, LEAST_SCALE * middle)
    return Spread(len(ordered), middle, scale, quantile(ordered, 99))
