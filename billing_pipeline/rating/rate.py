"""Rates one customer's usage period: metered quantities to charges by line key.

Quantities are summed per key first, so neither the order of rows nor how they are cut into days and postings
matters. Each charge then pools what its meter counted, in the fixed order rule version's start, dimensions,
project, and each rule version prices its stretch of the pool.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from decimal import Decimal
from itertools import groupby
from operator import attrgetter, itemgetter

from billing_pipeline.rating.charge_models.price import NoPrice, Priced, Segment
from billing_pipeline.rating.charges import (
    LineKey,
    MeteredQuantity,
    RatedCharge,
    RatedPeriod,
    Unpriced,
    UnpricedReason,
)
from billing_pipeline.rating.money import AMOUNT_LIMIT, EXACT, round_minor, sum_exact
from billing_pipeline.rating.pool import Line, Pool, Pools
from billing_pipeline.rating.rule_book import RuleBooks

PlanInForce = Callable[[date], str | None]
"""The name of the customer's plan on a usage day, or None."""

_KEY = attrgetter("key")
_RULE_VERSION = itemgetter(0)


def rate_period(
    customer_id: str,
    usage_period: date,
    quantities: Iterable[MeteredQuantity],
    books: RuleBooks,
    plan_in_force: PlanInForce,
) -> RatedPeriod:
    """Rate what a customer used in one usage period.

    Keys whose quantity sums to zero have no charge; where they have been booked before, `adjustments` takes
    them back.

    Args:
        customer_id: whose quantities these are.
        usage_period: the start of the usage period; the caller chose the rows by it.
        quantities: all rows of the customer and period, posted up to now, in any order.
        books: all rule versions; each row is priced by the version it names.
        plan_in_force: asked once per usage day.

    Returns:
        Charges by line key, and what has no price; the invoice must not be made while there is any.

    Raises:
        ValueError: a row is another customer's.
    """
    pools = Pools(books)
    rated: list[RatedCharge] = []
    unpriced = [
        _unpriced(customer_id, usage_period, line, "", fault)
        for line in _lines(customer_id, quantities, plan_in_force)
        if (fault := pools.add(line))
    ]
    for pool in pools:
        for line, answer in _rate_pool(pool):
            if isinstance(answer, NoPrice):
                unpriced.append(
                    _unpriced(customer_id, usage_period, line, pool.charge, "no_price_for_dimensions")
                )
            elif not -AMOUNT_LIMIT < answer.amount < AMOUNT_LIMIT:
                unpriced.append(_unpriced(customer_id, usage_period, line, pool.charge, "amount_too_large"))
            else:
                rated.append(_rated(customer_id, usage_period, line, pool, answer))
    return RatedPeriod(tuple(sorted(rated, key=_KEY)), tuple(sorted(unpriced)))


def _lines(
    customer_id: str, quantities: Iterable[MeteredQuantity], plan_in_force: PlanInForce
) -> Iterator[Line]:
    """One line per key, without those that sum to zero."""
    plans: dict[date, str] = {}
    sums: dict[tuple[str, str, str, str, str, str], tuple[Decimal, int]] = {}
    add = EXACT.add
    for customer, project, meter, unit, dimensions, usage_day, version, quantity, events in quantities:
        if customer != customer_id:
            raise ValueError(f"a row of customer {customer!r} among those of {customer_id!r}")
        plan = plans.get(usage_day)
        if plan is None:
            plan = plans[usage_day] = plan_in_force(usage_day) or ""
        key = (version, dimensions, project, plan, meter, unit)
        known = sums.get(key)
        sums[key] = (add(known[0], quantity), known[1] + events) if known else (quantity, events)
    for key, (quantity, events) in sums.items():
        if quantity:
            yield Line(*key, quantity, events)


def _rate_pool(pool: Pool) -> Iterator[tuple[Line, Priced | NoPrice]]:
    """Each version v prices F_v(position after) - F_v(position before) of its stretch."""
    stretches = [(version, list(lines)) for version, lines in groupby(pool.in_order(), key=_RULE_VERSION)]
    lengths = [sum_exact([line.quantity for line in lines]) for _, lines in stretches]
    total = sum_exact(lengths)
    position = Decimal()
    for (version, lines), length in zip(stretches, lengths, strict=True):
        yield from zip(lines, pool.prices[version].rate(Segment(position, total, lines)), strict=True)
        position = EXACT.add(position, length)


def _rated(customer_id: str, usage_period: date, line: Line, pool: Pool, priced: Priced) -> RatedCharge:
    version, dimensions, project_id, plan, meter, unit, quantity, event_count = line
    key = LineKey(
        customer_id, project_id, usage_period, plan, pool.charge, meter, dimensions, version, pool.currency
    )
    amount, parts = priced
    return RatedCharge(key, unit, quantity, event_count, amount, round_minor(amount, pool.currency), parts)


def _unpriced(
    customer_id: str, usage_period: date, line: Line, charge: str, reason: UnpricedReason
) -> Unpriced:
    version, dimensions, project_id, plan, meter, unit, quantity, _ = line
    return Unpriced(
        customer_id,
        project_id,
        usage_period,
        plan,
        charge,
        meter,
        unit,
        dimensions,
        version,
        quantity,
        reason,
    )
