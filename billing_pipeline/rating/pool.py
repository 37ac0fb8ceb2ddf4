"""Pools: which quantities a charge prices together, and in which order they take their positions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from operator import itemgetter

from billing_pipeline.rating.charge_models.price import Price, dimension_values
from billing_pipeline.rating.charge_models.surroundings import PROJECT
from billing_pipeline.rating.charges import UnpricedReason
from billing_pipeline.rating.holdings import Holding, Rules
from billing_pipeline.rating.line import Line
from billing_pipeline.rating.takers import Taken, Taker, taken

Stretch = tuple[str, str]
"""What prices with one set of terms: rule version, and the override that replaces its price ("" for none)."""


@dataclass(slots=True)
class Pool:
    """What one charge prices together through a usage period, under one or more sets of terms."""

    plan: str
    charge: str
    currency: str
    is_add_on: bool = False
    prices: dict[Stretch, Price] = field(default_factory=dict)
    starts: dict[Stretch, tuple[datetime, date]] = field(default_factory=dict)
    lines: dict[tuple[str, str, str, str], Line] = field(default_factory=dict)

    def add(self, line: Line, taker: Taker) -> None:
        """Put a line in; one of the same key, from days on which something else was held, is added up."""
        key = (line.rule_version, taker.term, line.dimensions, line.project_id)
        known = self.lines.get(key)
        self.lines[key] = line if known is None else known.plus(line)
        if key[:2] not in self.prices:
            self.prices[key[:2]] = taker.price
            self.starts[key[:2]] = taker.start

    def in_order(self) -> list[tuple[Stretch, list[Line]]]:
        """The lines in pooled order: rule version's start and override's start, then dimensions, project."""
        lines = self.lines
        if len(self.prices) == 1:
            (stretch,) = self.prices
            return [(stretch, [lines[key] for key in (sorted(lines) if len(lines) > 1 else lines)])]
        found: dict[Stretch, list[Line]] = {
            stretch: [] for stretch in sorted(self.prices, key=lambda each: (self.starts[each], each))
        }
        for key in sorted(lines, key=_DIMENSIONS_AND_PROJECT):
            found[key[:2]].append(lines[key])
        return list(found.items())


_DIMENSIONS_AND_PROJECT = itemgetter(2, 3)


class Pools:
    """The pools of one customer's usage period. Plans never share a pool, and a free trial has its own."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._taken: dict[tuple[str, str, Holding, str], Taken] = {}
        self._shared = rules.takers
        self._pools: dict[tuple[object, ...], Pool] = {}

    def __iter__(self) -> Iterator[Pool]:
        return iter(self._pools.values())

    def add(self, line: Line, holding: Holding) -> UnpricedReason | None:
        """Put a line into the pool of every charge that takes its meter, or say why it has no price."""
        dimensions = line.dimensions if holding.is_by_dimensions else ""
        wanted = (line.rule_version, line.meter, holding, dimensions)
        known = self._shared if holding.is_plain else self._taken
        found = known.get(wanted)
        if found is None:
            found = known[wanted] = taken(self._rules, *wanted)
        if found.fault is not None:
            return found.fault
        if found.is_additive and line.quantity < 0:
            return "negative_quantity"
        for taker in found.takers:
            self._pool(line, taker).add(line, taker)
        return None

    def _pool(self, line: Line, taker: Taker) -> Pool:
        key: tuple[object, ...] = (taker.plan, taker.charge, taker.currency, taker.in_trial)
        if taker.price.tier_by:
            values: Mapping[str, str] = dimension_values(line.dimensions) | {PROJECT: line.project_id}
            key += tuple((name, values.get(name)) for name in taker.price.tier_by)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = Pool(taker.plan, taker.charge, taker.currency, taker.is_add_on)
        return pool
