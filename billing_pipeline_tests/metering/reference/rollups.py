"""The reference model's meters: rollups, unmetered usage and the restated view, every figure worked out from scratch.

Additive meters (sum, count) add what is booked. For the others a posting day books the difference that it makes to the
value of everything posted so far: first its events, then its corrections.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from billing_pipeline_tests.metering.reference.log import DAY_US, Dimensions, Meter
from billing_pipeline_tests.metering.reference.metering import (
    Event,
    Metering,
    Totals,
    added,
    negative,
    posting_days,
)
from billing_pipeline_tests.metering.reference.state import Part, State

ADDITIVE = ("sum", "count")


@dataclass(frozen=True)
class Counted:
    """A part of an event that counts at present, as a meter sees it."""

    event: Event
    state: State
    part: Part

    @property
    def order(self) -> tuple[int, str, str, int]:
        """Its place in its group."""
        usage = self.event.usage
        return usage.occurred_at, usage.source, usage.id, self.part.index


def meters_of(metering: Metering, version: str, state: State) -> list[Meter]:
    """The meters of a rule version that take what an event counts for."""
    dimensions = dict(state.dimensions)
    return [
        meter
        for meter in metering.book(version).meters
        if meter.unit == state.unit and all(dimensions.get(name) in values for name, values in meter.only)
    ]


def grouped(meter: Meter, dimensions: Dimensions) -> Dimensions:
    """The dimensions that a meter keeps apart, of those there are."""
    return tuple((name, value) for name, value in dimensions if name in meter.group_by)


def rollups(metering: Metering) -> Totals:
    """By posting day, rule version, usage day, kind, customer, project, meter, unit and dimensions."""
    return added(*(_additive_row(metering, *each) for each in _booked(metering)), _of_differences(metering))


def unmetered(metering: Metering) -> Totals:
    """Billable usage that no meter takes, by posting day, version, usage day, customer, project, unit, dimensions."""
    found: list[Totals] = []
    for row in metering.rows():
        event, state, part = row.event, row.state, row.part
        if state.billable and not meters_of(metering, event.version, state):
            key = (row.posting_day, event.version, event.usage_day, part.customer, part.project)
            value = (row.sign * part.quantity, row.sign * int(part.event_share > 0))
            found.append({(*key, state.unit, state.dimensions): value})
    return added(*found)


def restated(metering: Metering, until: int) -> Totals:
    """What is known now, from the effective states alone: as rollups, without posting day and kind."""
    found: list[Totals] = []
    counted = list(_counted(metering, until, until))
    for each in counted:
        for meter in meters_of(metering, each.event.version, each.state):
            if meter.aggregation in ADDITIVE:
                key = (each.event.version, each.event.usage_day, *_place(each, meter))
                quantity = each.part.quantity if meter.aggregation == "sum" else each.part.event_share
                found.append({key: (quantity, 1 if each.part.event_share else 0)})
    return added(*found, _values(metering, counted))


def versions(metering: Metering) -> set[tuple[int, str]]:
    """Posting day and rule version of every rollup partition that there must be."""
    booked = {(row.posting_day, row.event.version) for row in metering.rows()}
    return booked | {(key[0], key[1]) for key in rollups(metering)}


# Additive meters.


def _booked(metering: Metering) -> Iterable[tuple[int, str, int, Counted]]:
    for row in metering.rows():
        if row.state.billable:
            yield row.posting_day, row.kind, row.sign, Counted(row.event, row.state, row.part)


def _additive_row(metering: Metering, posting_day: int, kind: str, sign: int, each: Counted) -> Totals:
    found: Totals = {}
    event, part = each.event, each.part
    for meter in meters_of(metering, event.version, each.state):
        if meter.aggregation in ADDITIVE:
            key = (posting_day, event.version, event.usage_day, kind, *_place(each, meter))
            quantity = part.quantity if meter.aggregation == "sum" else part.event_share
            found[key] = (sign * quantity, sign * int(part.event_share > 0))
    return found


def _place(each: Counted, meter: Meter) -> tuple[object, ...]:
    """Customer, project, meter, unit and dimensions of a row."""
    state, part = each.state, each.part
    return part.customer, part.project, meter.name, state.unit, grouped(meter, state.dimensions)


# Meters that are not additive.


def _of_differences(metering: Metering) -> Totals:
    found: list[Totals] = []
    for day in posting_days(metering):
        before = _values(metering, _counted(metering, day - 1, day - 1))
        events = _values(metering, _counted(metering, day, day - 1))
        after = _values(metering, _counted(metering, day, day))
        for (version, usage_day, *place), value in added(events, negative(before)).items():
            kind = "on_time" if usage_day == day else "late"
            found.append({(day, version, usage_day, kind, *place): value})
        for (version, usage_day, *place), value in added(after, negative(events)).items():
            found.append({(day, version, usage_day, "correction", *place): value})
    return added(*found)


def _counted(metering: Metering, events_until: int, changes_until: int) -> Iterable[Counted]:
    for event, state in metering.effective(events_until, changes_until):
        for part in state.parts():
            if state.billable:
                yield Counted(event, state, part)


def _values(metering: Metering, counted: Iterable[Counted]) -> Totals:
    """By rule version, usage day and place, what the meters that are not additive show for these parts.

    A group spans rule versions; what each part of it changes belongs to the version of its own event.
    """
    groups: dict[tuple[object, ...], list[Counted]] = {}
    meters: dict[tuple[object, ...], Meter] = {}
    for each in counted:
        for meter in meters_of(metering, each.event.version, each.state):
            if meter.aggregation in ADDITIVE or not each.part.event_share:
                continue
            key = (each.event.usage_day, *_place(each, meter), meter.aggregation, meter.distinct)
            groups.setdefault(key, []).append(each)
            meters[key] = meter
    found: list[Totals] = []
    for key, members in groups.items():
        members.sort(key=lambda each: each.order)
        before = Fraction(0)
        for each, total in zip(members, running_totals(meters[key], members), strict=True):
            found.append({(each.event.version, *key[:-2]): (total - before, 1)})
            before = total
    return added(*found)


def running_totals(meter: Meter, members: list[Counted]) -> list[Fraction]:
    """What a meter shows after each part of one group; the parts stand in order."""
    quantities = [each.part.quantity for each in members]
    firsts = [members[: position + 1] for position in range(len(members))]
    if meter.aggregation == "max":
        return [max(each.part.quantity for each in first) for first in firsts]
    if meter.aggregation == "latest":
        return quantities
    if meter.aggregation == "unique_count":
        values = ({distinct_value(each, meter) for each in first} - {None} for first in firsts)
        return [Fraction(len(found)) for found in values]
    assert meter.aggregation == "time_weighted_sum"
    starts = [each.event.usage.occurred_at for each in members]
    ends = [*starts[1:], (members[0].event.usage_day + 1) * DAY_US]
    held = [
        quantity * Fraction(end - start, 1_000_000)
        for quantity, start, end in zip(quantities, starts, ends, strict=True)
    ]
    return [cut_down(sum(held[: position + 1], Fraction(0))) for position in range(len(held))]


def cut_down(value: Fraction) -> Fraction:
    """The value without what is behind its ninth fractional digit."""
    nano = value * 10**9
    return Fraction(nano.numerator // nano.denominator, 10**9)


def distinct_value(each: Counted, meter: Meter) -> str | None:
    """What a unique_count tells events apart by: a field, or a dimension as the event counts at present.

    An event without it adds nothing to the quantity; it still is one of the events behind the row.
    """
    assert meter.distinct is not None
    if meter.distinct.startswith("dimensions."):
        return dict(each.state.dimensions).get(meter.distinct.removeprefix("dimensions."))
    value: str | None = getattr(each.event.usage, meter.distinct)
    return value
