"""From usage to meter events: what a posting day adds to what Stripe has been told of each usage day. Pure.

Stripe takes whole numbers. So what it is told of a charge is the floor of the quantity used from the period's first
day up to each usage day: what a day leaves over goes on to the next one, and less than one unit is left at the end.
A posting day's events are the difference to what the days before it have told; they add up, whatever comes late, is
corrected, or changes in the agreement. Values may be negative.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from typing import NamedTuple

from billing_pipeline.contract.instants import microseconds_of
from billing_pipeline.invoicing.meter_events.event_name import MeteredCharge, event_name
from billing_pipeline.rating.agreement import midnight
from billing_pipeline.rating.holdings import Holding, Holdings, Rules
from billing_pipeline.rating.money import EXACT
from billing_pipeline.rating.takers import Taken, taken

NOON_US = 12 * 3_600_000_000
"""Within the usage day, away from both ends: subscriptions end at midnight."""


class UsageRow(NamedTuple):
    """Usage of one customer's day in the running period: posted before the posting day, and up to its end."""

    meter: str
    dimensions: str
    usage_day: date
    rule_version: str
    before: Decimal
    after: Decimal


class KnownUsage(NamedTuple):
    """What is known of a customer at the close of a posting day.

    Attributes:
        rows: of the period's usage days; days that nothing has changed may be left out where all are whole numbers.
        before: what the customer held by usage day, as known at the close of the day before.
        now: the same, as known at the close of this day.
    """

    customer_id: str
    billing_period: date
    posting_day: date
    rows: Sequence[UsageRow]
    before: Holdings
    now: Holdings


class PlannedMeterEvent(NamedTuple):
    """One meter event. `occurred_at` is UTC µs, `value` a whole number other than zero."""

    identifier: str
    event_name: str
    customer_id: str
    metered: MeteredCharge
    billing_period: date
    usage_day: date
    posting_day: date
    value: int
    occurred_at: int


_Totals = dict[MeteredCharge, dict[date, Decimal]]


class Takers:
    """Which charges take a row of usage; what was found once is kept."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._found: dict[tuple[str, str, Holding, str], Taken] = {}

    def of(self, row: UsageRow, holding: Holding) -> Iterator[MeteredCharge]:
        """The charges with the row's meter and dimensions; none where it has no price or is in a free trial.

        What has no price blocks our invoice, and is told when it has one.
        """
        key = (row.rule_version, row.meter, holding, row.dimensions if holding.is_by_dimensions else "")
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = taken(self._rules, *key)
        for taker in found.takers:
            if not taker.in_trial:
                yield MeteredCharge(taker.plan, taker.charge, row.meter, row.dimensions)


def plans_used(known: KnownUsage, takers: Takers) -> dict[str, bool]:
    """The plans and add-ons whose charges take the usage, and whether they took any before the posting day."""
    found: dict[str, bool] = {}
    for row in known.rows:
        for metered in takers.of(row, known.before.on(row.usage_day)):
            if row.before:
                found[metered.plan] = True
        for metered in takers.of(row, known.now.on(row.usage_day)):
            found.setdefault(metered.plan, False)
    return found


def plan_meter_events(
    known: KnownUsage, takers: Takers, is_metered: Callable[[str], bool]
) -> list[PlannedMeterEvent]:
    """The events of one customer's posting day, in the order of usage days and names.

    Args:
        known: usage and agreement.
        takers: under the rule books.
        is_metered: whether a plan delivers this period as meter events.
    """
    before = _totals(((row, row.before) for row in known.rows), known.before, takers, is_metered)
    after = _totals(((row, row.after) for row in known.rows), known.now, takers, is_metered)
    events = [
        _event(known, metered, day, value)
        for metered in before.keys() | after.keys()
        for day, value in _differences(before.get(metered, {}), after.get(metered, {}))
    ]
    return sorted(events, key=lambda event: (event.usage_day, event.event_name))


def identifier_of(customer_id: str, name: str, usage_day: date, posting_day: date) -> str:
    """The same in every process and account: both days, and 40 hex digits of a digest."""
    text = json.dumps([customer_id, name, usage_day.isoformat(), posting_day.isoformat()])
    return f"{usage_day}-{posting_day}-{hashlib.sha256(text.encode()).hexdigest()[:40]}"


def _totals(
    rows: Iterable[tuple[UsageRow, Decimal]],
    holdings: Holdings,
    takers: Takers,
    is_metered: Callable[[str], bool],
) -> _Totals:
    found: _Totals = {}
    for row, quantity in rows:
        if not quantity:
            continue
        for metered in takers.of(row, holdings.on(row.usage_day)):
            if is_metered(metered.plan):
                days = found.setdefault(metered, {})
                days[row.usage_day] = EXACT.add(days.get(row.usage_day, Decimal()), quantity)
    return found


def _differences(before: dict[date, Decimal], after: dict[date, Decimal]) -> Iterator[tuple[date, int]]:
    told_before = told_after = 0
    sum_before = sum_after = Decimal()
    for day in sorted(before.keys() | after.keys()):
        sum_before = EXACT.add(sum_before, before.get(day, Decimal()))
        sum_after = EXACT.add(sum_after, after.get(day, Decimal()))
        floor_before, floor_after = _floor(sum_before), _floor(sum_after)
        value = (floor_after - told_after) - (floor_before - told_before)
        told_before, told_after = floor_before, floor_after
        if value:
            yield day, value


def _floor(quantity: Decimal) -> int:
    return int(quantity.to_integral_value(rounding=ROUND_FLOOR))


def _event(known: KnownUsage, metered: MeteredCharge, usage_day: date, value: int) -> PlannedMeterEvent:
    name = event_name(metered)
    return PlannedMeterEvent(
        identifier=identifier_of(known.customer_id, name, usage_day, known.posting_day),
        event_name=name,
        customer_id=known.customer_id,
        metered=metered,
        billing_period=known.billing_period,
        usage_day=usage_day,
        posting_day=known.posting_day,
        value=value,
        occurred_at=microseconds_of(midnight(usage_day)) + NOON_US,
    )
