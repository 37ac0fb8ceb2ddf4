"""Who charges a meter's usage under what a customer holds: the plan and its add-ons, as overrides leave them."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import NamedTuple

from billing_pipeline.rating.agreement import Override
from billing_pipeline.rating.charge_models.free import FREE_TRIAL
from billing_pipeline.rating.charge_models.price import Price
from billing_pipeline.rating.charges import TRIAL, UnpricedReason
from billing_pipeline.rating.holdings import Holding, Rules
from billing_pipeline.rating.plan_terms.override import FaultyOverride, override_price
from billing_pipeline.rating.rule_book import Plan, RuleBook


class Taker(NamedTuple):
    """A charge that takes a meter's usage.

    Attributes:
        term: the override whose price it is, `trial`, or "".
        start: when these terms begin, for the order within the pool.
    """

    plan: str
    charge: str
    currency: str
    price: Price
    term: str
    start: tuple[datetime, date]
    in_trial: bool = False
    is_add_on: bool = False


class Taken(NamedTuple):
    """Who takes a meter's usage, or why nobody does.

    Attributes:
        is_additive: otherwise what falls within a day under a later version is its negative change; nothing is missing.
    """

    takers: tuple[Taker, ...] = ()
    fault: UnpricedReason | None = None
    is_additive: bool = True


def taken(rules: Rules, rule_version: str, meter: str, holding: Holding, dimensions: str) -> Taken:
    """All charges that take a meter's usage of one rule version, under a holding.

    The dimensions matter only where the holding `is_by_dimensions`.
    """
    book, metered = rules.book(rule_version), rules.books.get(rule_version)
    if book is None or metered is None:
        return Taken(fault="no_rule_book")
    held = [
        (False, book.plans.get(holding.plan)),
        *((True, book.add_ons.get(name)) for name in holding.add_ons),
    ]
    found: list[Taker] = []
    for is_add_on, plan in held:
        if plan is None:
            return Taken(fault=_missing(holding, is_add_on=is_add_on))
        in_trial = holding.in_trial and not is_add_on
        for priced in _priced(book, plan, meter, holding.overrides.get(plan.name, ()), dimensions):
            if isinstance(priced.price, FaultyOverride):
                return Taken(fault="override_faulty")
            found.append(
                Taker(
                    plan=plan.name,
                    charge=priced.charge,
                    currency=plan.currency,
                    price=FREE_TRIAL if in_trial else priced.price,
                    term=TRIAL if in_trial else priced.term,
                    start=(metered.effective_from, priced.start),
                    in_trial=in_trial,
                    is_add_on=is_add_on,
                )
            )
    if not found and meter not in book.plans[holding.plan].not_charged:
        return Taken(fault="no_charge_for_meter")
    measured = book.meters.get(meter)
    return Taken(tuple(found), is_additive=measured is None or measured.is_additive)


def _missing(holding: Holding, *, is_add_on: bool) -> UnpricedReason:
    if is_add_on:
        return "add_on_not_in_rule_book"
    return "plan_not_in_rule_book" if holding.plan else "no_plan"


class _Priced(NamedTuple):
    """A charge with the price that counts, and the override it comes from."""

    charge: str
    price: Price | FaultyOverride
    term: str = ""
    start: date = date.min


def _priced(
    book: RuleBook, plan: Plan, meter: str, overrides: Sequence[Override], dimensions: str
) -> Iterator[_Priced]:
    """The plan's charges of a meter as overrides leave them, and those that overrides add."""
    own = {charge.name: charge.price for charge in plan.charges_by_meter.get(meter, ())}
    names = dict.fromkeys(own)
    for override in overrides:
        name = str(override.details.get("charge"))
        if override.details.get("meter") == meter and name not in plan.charge_names:
            names[name] = None
    for name in names:
        changes = [each for each in overrides if each.prices(name, dimensions) and meter in book.meters]
        price: Price | FaultyOverride | None = own.get(name)
        by: Override | None = None
        for override in changes:
            given = override_price(override, own.get(name), book.meters[meter], plan.currency)
            price, by = (given, override) if given is not None else (price, by)
        if isinstance(price, FaultyOverride) or by is not None:
            assert by is not None and price is not None  # noqa: PT018, S101 - only an override is faulty, or sets `by`
            yield _Priced(name, price, by.name, by.start)
        elif price is not None:
            yield _Priced(name, price)
