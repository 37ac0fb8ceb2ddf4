"""Rates one customer's usage period: metered quantities to charges by line key, and the terms around them.

Quantities are summed per key first, so neither the order of rows nor how they are cut into days and postings
matters. Each charge then pools what its meter counted, in the fixed order rule version's start, dimensions,
project, and each rule version prices its stretch of the pool. Fees, discounts, minimums, maximums and coupons follow,
from rounded lines.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from operator import attrgetter
from typing import NamedTuple

from billing_pipeline.rating.agreement import Agreement
from billing_pipeline.rating.charge_models.price import NoPrice, Priced, Segment
from billing_pipeline.rating.charges import (
    LineKey,
    MeteredQuantity,
    RatedCharge,
    RatedPeriod,
    Unpriced,
    UnpricedReason,
)
from billing_pipeline.rating.folding import FoldedBy, fold
from billing_pipeline.rating.holdings import Holding, Holdings, Rules
from billing_pipeline.rating.line import Line
from billing_pipeline.rating.money import AMOUNT_LIMIT, EXACT, round_minor, sum_exact
from billing_pipeline.rating.period_lines import Phase, period_lines
from billing_pipeline.rating.pool import Pool, Pools
from billing_pipeline.rating.stretches import Stretches

_KEY = attrgetter("key")


def rate_period(
    agreement: Agreement,
    usage_period: date,
    quantities: Iterable[MeteredQuantity],
    rules: Rules,
    phase: Phase = "final",
) -> RatedPeriod:
    """Rate what a customer used, and owes, in one usage period.

    Keys whose quantity sums to zero have no charge; where they have been booked before, `adjustments` takes
    them back.

    Args:
        agreement: what the customer agreed to.
        usage_period: the start of the usage period; the caller chose the rows by it.
        quantities: all rows of the customer and period, posted up to now, in any order.
        rules: the rule books; each row is priced by the version it names, unless they say otherwise.
        phase: `final` rates the whole period. `running` rates what is there so far: without fees in arrears, minimums
            and what zero usage costs, which fall due at the period's end. `in_advance` rates its fees in advance.
            Booking the difference to what is booked makes any sequence of these add up to the final one.

    Returns:
        Charges by line key, and what has no price; the invoice must not be made while there is any.

    Raises:
        ValueError: a row is another customer's.
    """
    period = _Period(agreement.customer_id, usage_period)
    pools = Pools(rules)
    unpriced: list[Unpriced] = []
    for line, holding in _lines(agreement.customer_id, quantities, Holdings(agreement, rules)):
        fault = pools.add(line, holding)
        if fault is not None:
            unpriced.append(period.unpriced(line, holding.plan, "", fault))
    stretches = Stretches(agreement, usage_period, rules)
    rated: list[RatedCharge] = []
    folded: dict[FoldedBy, tuple[str, ...]] = {}
    for pool in pools:
        for line, stretch, answer in _rate_pool(pool, stretches):
            if isinstance(answer, NoPrice):
                unpriced.append(period.unpriced(line, pool.plan, pool.charge, "no_price_for_dimensions"))
            elif not -AMOUNT_LIMIT < answer.amount < AMOUNT_LIMIT:
                unpriced.append(period.unpriced(line, pool.plan, pool.charge, "amount_too_large"))
            else:
                if names := pool.prices[stretch].folded:
                    folded[pool.plan, pool.charge, *stretch] = names
                rated.append(period.rated(line, pool, stretch[1], answer))
    if folded:
        rated = fold(rated, folded)
    if stretches.have_terms:
        rated, faults = period_lines(rated, stretches, phase)
        unpriced += faults
    return RatedPeriod(tuple(sorted(rated, key=_KEY)), tuple(sorted(unpriced)))


def _lines(
    customer_id: str, quantities: Iterable[MeteredQuantity], holdings: Holdings
) -> Iterator[tuple[Line, Holding]]:
    """One line per key and holding, without those that sum to zero."""
    by_day: dict[date, Holding] = {}
    sums: dict[tuple[str, str, str, Holding, str, str], tuple[Decimal, int]] = {}
    add = EXACT.add
    for customer, project, meter, unit, dimensions, usage_day, version, quantity, events, _ in quantities:
        if customer != customer_id:
            raise ValueError(f"a row of customer {customer!r} among those of {customer_id!r}")
        holding = by_day.get(usage_day)
        if holding is None:
            holding = by_day[usage_day] = holdings.on(usage_day)
        key = (version, dimensions, project, holding, meter, unit)
        known = sums.get(key)
        sums[key] = (add(known[0], quantity), known[1] + events) if known else (quantity, events)
    for (version, dimensions, project, holding, meter, unit), (quantity, events) in sums.items():
        if quantity:
            yield Line(version, dimensions, project, meter, unit, quantity, events), holding


def _rate_pool(pool: Pool, stretches: Stretches) -> Iterator[tuple[Line, tuple[str, str], Priced | NoPrice]]:
    """Each version v prices F_v(position after) - F_v(position before) of its stretch."""
    ordered = pool.in_order()
    if len(ordered) == 1:
        ((stretch, lines),) = ordered
        total = lines[0].quantity if len(lines) == 1 else sum_exact([line.quantity for line in lines])
        price = pool.prices[stretch]
        segment = Segment(_ZERO, total, lines)
        if price.has_period_terms:
            segment = stretches.with_terms(segment, pool)
        for line, answer in zip(lines, price.rate(segment), strict=True):
            yield line, stretch, answer
        return
    lengths = [sum_exact([line.quantity for line in lines]) for _, lines in ordered]
    total, position, events = sum_exact(lengths), Decimal(), 0
    for number, ((stretch, lines), length) in enumerate(zip(ordered, lengths, strict=True), start=1):
        price = pool.prices[stretch]
        segment = Segment(position, total, lines, events, number == len(ordered))
        if price.has_period_terms:
            segment = stretches.with_terms(segment, pool)
        for line, answer in zip(lines, price.rate(segment), strict=True):
            yield line, stretch, answer
        position = EXACT.add(position, length)
        events += sum([line.event_count for line in lines])


_ZERO = Decimal()


class _Period(NamedTuple):
    """Whose usage period it is."""

    customer_id: str
    usage_period: date

    def rated(self, line: Line, pool: Pool, term: str, priced: Priced) -> RatedCharge:
        version, dimensions, project_id, meter, unit, quantity, event_count = line
        currency = pool.currency
        # By position: this is the inner loop, and names would cost a third of it.
        key = LineKey(
            self.customer_id,
            project_id,
            self.usage_period,
            pool.plan,
            pool.charge,
            meter,
            dimensions,
            version,
            currency,
            "usage",
            term,
        )
        amount, parts = priced
        return RatedCharge(key, unit, quantity, event_count, amount, round_minor(amount, currency), parts)

    def unpriced(self, line: Line, plan: str, charge: str, reason: UnpricedReason) -> Unpriced:
        version, dimensions, project_id, meter, unit, quantity, _ = line
        return Unpriced(
            *(self.customer_id, project_id, self.usage_period, plan, charge, meter, unit, dimensions),
            *(version, quantity, reason),
        )
