"""What a customer or project has spent, minute by minute and hour by hour. Amounts are nano-units, instants UTC µs."""

from collections.abc import Sequence

import msgspec

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US


class Minute(msgspec.Struct, frozen=True, gc=False):
    """One minute in which something was granted or counted; minutes without are left out.

    Attributes:
        spent: settled, and counted without asking.
        held: by holds that are still open. They hold what an action may cost at most, so this is no spend yet.
        calls: granted reserves and actions counted without asking.
    """

    starts_at: int
    spent: int
    held: int = 0
    calls: int = 0

    @property
    def most(self) -> int:
        """What it comes to if every open hold is settled in full."""
        return self.spent + self.held

    def likely(self, usual_cost: int) -> int:
        """What it comes to if its calls cost what this customer's calls usually do, but no more than is held.

        Past minutes are settled, this one is not: without this, an ordinary minute of worst-case holds would be held
        against past minutes of real cost.
        """
        return max(self.spent, min(self.most, usual_cost * self.calls))


class Hour(msgspec.Struct, frozen=True, gc=False):
    """What was spent in one hour; hours without are left out."""

    starts_at: int
    spent: int


def rolling(minutes: Sequence[tuple[int, int]], width: int) -> list[int]:
    """What was spent in the `width` minutes that end with each of some minutes.

    Args:
        minutes: start and spend, in order of time; minutes without spend may be left out.
        width: in minutes.
    """
    sums: list[int] = []
    first = total = 0
    for starts_at, spend in minutes:
        total += spend
        while minutes[first][0] <= starts_at - width * MINUTE_US:
            total -= minutes[first][1]
            first += 1
        sums.append(total)
    return sums
