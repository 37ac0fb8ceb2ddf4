"""Pools: which quantities a charge prices together, and in which order they take their positions."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from typing import NamedTuple

from billing_pipeline.rating.charge_models.price import Price, dimension_values
from billing_pipeline.rating.charge_models.surroundings import PROJECT
from billing_pipeline.rating.charges import UnpricedReason
from billing_pipeline.rating.rule_book import Charge, RuleBook, RuleBooks


class Line(NamedTuple):
    """The sum of all metered quantities of one key; to a charge model it is a `PoolRow`."""

    rule_version: str
    dimensions: str
    project_id: str
    plan: str
    meter: str
    unit: str
    quantity: Decimal
    event_count: int


@dataclass(slots=True)
class Pool:
    """What one charge prices together through a usage period, under one or more rule versions."""

    charge: str
    currency: str
    prices: dict[str, Price] = field(default_factory=dict)
    starts: dict[str, datetime] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)

    def in_order(self) -> list[Line]:
        """The lines in pooled order: rule version's start, dimensions, project."""
        ordered = sorted(self.lines, key=_DIMENSIONS_AND_PROJECT)
        if len(self.starts) > 1:
            ordered.sort(key=lambda line: self.starts[line.rule_version])
        return ordered


_DIMENSIONS_AND_PROJECT = itemgetter(1, 2)


class _Terms(NamedTuple):
    """What a rule version says of a meter in a plan: who charges it, or why nobody does."""

    book: RuleBook | None = None
    currency: str = ""
    charges: tuple[Charge, ...] = ()
    is_additive: bool = True
    """Otherwise what falls within a day under a later version is its negative change; nothing is missing."""
    fault: UnpricedReason | None = None


class Pools:
    """The pools of one customer's usage period. Plans never share a pool."""

    def __init__(self, books: RuleBooks) -> None:
        self._books = books
        self._terms: dict[tuple[str, str, str], _Terms] = {}
        self._pools: dict[tuple[object, ...], Pool] = {}

    def __iter__(self) -> Iterator[Pool]:
        return iter(self._pools.values())

    def add(self, line: Line) -> UnpricedReason | None:
        """Put a line into the pool of every charge that takes its meter, or say why it has no price."""
        wanted = (line.rule_version, line.plan, line.meter)
        terms = self._terms.get(wanted)
        if terms is None:
            terms = self._terms[wanted] = _terms(self._books, *wanted)
        if terms.book is None:
            return terms.fault
        if line.quantity < 0 and terms.is_additive:
            return "negative_quantity"
        for charge in terms.charges:
            self._pool(line, charge, terms.book, terms.currency).lines.append(line)
        return None

    def _pool(self, line: Line, charge: Charge, book: RuleBook, currency: str) -> Pool:
        key: tuple[object, ...] = (line.plan, charge.name, currency)
        if charge.price.tier_by:
            values = dimension_values(line.dimensions) | {PROJECT: line.project_id}
            key += tuple((name, values.get(name)) for name in charge.price.tier_by)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = Pool(charge.name, currency)
        if line.rule_version not in pool.prices:
            pool.prices[line.rule_version] = charge.price
            pool.starts[line.rule_version] = book.effective_from
        return pool


def _terms(books: RuleBooks, version: str, plan_name: str, meter: str) -> _Terms:
    book = books.get(version)
    if book is None:
        return _Terms(fault="no_rule_book")
    if not plan_name:
        return _Terms(fault="no_plan")
    plan = book.plans.get(plan_name)
    if plan is None:
        return _Terms(fault="plan_not_in_rule_book")
    charges = plan.charges_by_meter.get(meter, ())
    if not charges and meter not in plan.not_charged:
        return _Terms(fault="no_charge_for_meter")
    measured = book.meters.get(meter)
    return _Terms(book, plan.currency, charges, measured is None or measured.is_additive)
