"""One customer's usage day: settled in the guard, rated from the log, and the difference by cause, to the last unit.

It is a walk in steps, each of which changes one thing only: from what the holds booked, over what their events cost by
themselves, what the log made of those events, and what it has beside them, to what the rating code makes of the day
within its period. So the causes add up to the difference whatever the figures are; what no step accounts for is
`unexplained`, and a fault.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Literal, NamedTuple

from billing_pipeline.guardrails.nano import nano_nearest
from billing_pipeline.schemas.ledger_causes import CAUSES

Prices = Literal["linear", "tiers", "trial"]


class HoldFigures(NamedTuple):
    """What the day's settled holds booked, and what the events that they sent are worth. All nano-units.

    Attributes:
        booked: by holds settled with usage.
        booked_by_amount: by holds settled at an amount.
        overrun: what of both was above the holds.
        overdraft: what of that no credit was there for.
        priced: what the usage costs now, priced hold by hold.
        events: what it costs now, priced event by event.
        missing: what of `events` the log does not count at all.
        holds: how many.
    """

    booked: int = 0
    booked_by_amount: int = 0
    overrun: int = 0
    overdraft: int = 0
    priced: int = 0
    events: int = 0
    missing: int = 0
    holds: int = 0


class LogFigures(NamedTuple):
    """What the log's billable events of the day cost by themselves. All nano-units.

    Attributes:
        guarded: events that stand under the identity of one that the guard sent.
        unguarded: all others that came before the day had closed.
        late: all others that came after.
        corrected: what corrections have added to or taken from all of them.
        events: how many events and corrected rows that is.
    """

    guarded: int = 0
    unguarded: int = 0
    late: int = 0
    corrected: int = 0
    events: int = 0


class RatedFigures(NamedTuple):
    """What the day adds to its usage period, as known now: rated with it, less rated up to the day before.

    Attributes:
        exact: usage before rounding, nano-units.
        lines: usage as rounded lines, nano-units.
        discounts: discounts, coupons and maximums as rounded lines, nano-units.
        prices: `linear` where every charge has one price per unit, so that an event costs the same wherever it stands;
            `trial` where the day's usage is in a free trial, and costs nothing.
    """

    exact: Fraction = Fraction(0)
    lines: int = 0
    discounts: int = 0
    prices: Prices = "linear"


class DayReconciliation(NamedTuple):
    """Nano-units. `causes` add up to `rated` less `settled`."""

    settled: int
    rated: int
    causes: Mapping[str, int]
    overrun: int
    overdraft: int
    holds: int
    events: int

    @property
    def difference(self) -> int:
        """What is due beyond what was settled; below 0 where more was settled."""
        return self.rated - self.settled


def reconcile_day(holds: HoldFigures, log: LogFigures, rated: RatedFigures) -> DayReconciliation:
    """Explain the difference of one customer, currency and usage day."""
    exact = nano_nearest(rated.exact / 10**9)
    by_itself = log.guarded + log.unguarded + log.late + log.corrected
    # Where prices are linear, an event's price differs from its share of the whole by its own rounding only.
    residual = (holds.events - holds.priced) + (exact - by_itself)
    bound = log.events + 2 * holds.holds + 2
    explained_by = {"tiers": "tier_position", "trial": "discount"}.get(rated.prices, "unexplained")
    if abs(residual) <= bound:
        explained_by = "rounding"
    causes = {
        "unguarded": log.unguarded,
        "late": log.late,
        "corrected": log.corrected,
        "conflicting": log.guarded - (holds.events - holds.missing),
        "not_metered_yet": -holds.missing,
        "settled_by_amount": -holds.booked_by_amount,
        "repriced": holds.priced - holds.booked,
        "discount": rated.discounts,
        "rounding": rated.lines - exact,
    }
    causes[explained_by] = causes.get(explained_by, 0) + residual
    return DayReconciliation(
        settled=holds.booked + holds.booked_by_amount,
        rated=rated.lines + rated.discounts,
        causes={cause: causes.get(cause, 0) for cause in CAUSES},
        overrun=holds.overrun,
        overdraft=holds.overdraft,
        holds=holds.holds,
        events=log.events,
    )
