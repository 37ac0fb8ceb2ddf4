"""Finds what usage costs: which meters take it, which charges take those under what the customer holds, at what price.

The same questions, answered by the same code, as when usage is metered and rated for the invoice.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn

from billing_pipeline.errors import GuardRequestError, UnpricedUsageError
from billing_pipeline.guardrails.customers.customer_days import CustomerDay
from billing_pipeline.guardrails.policies.policy import Policies
from billing_pipeline.guardrails.pricing.charge_bound import bound_of
from billing_pipeline.guardrails.pricing.dearest import Bound, Even
from billing_pipeline.guardrails.pricing.tariff import Tariff
from billing_pipeline.metering.meters import Metered, taken_by
from billing_pipeline.rating.charge_models.free import Free
from billing_pipeline.rating.charge_models.price import NoPrice
from billing_pipeline.rating.charges import UnpricedReason
from billing_pipeline.rating.holdings import Holding, Rules
from billing_pipeline.rating.rule_book import Aggregation
from billing_pipeline.rating.takers import Taker, taken

TARIFFS_MOST = 100_000
"""Kinds of usage kept at once: dimensions may have any values."""

BY_EVENT: frozenset[Aggregation] = frozenset({"count", "unique_count"})
"""To these meters an event is at most one unit, whatever its quantity."""

_WHAT_TO_DO: Mapping[UnpricedReason, str] = {
    "add_on_not_in_rule_book": "the rule book in force lacks an add-on that the customer has; end it or add it there",
    "override_faulty": "a contract override cannot be read beside the rule book in force; give one that fits",
    "no_charge_for_meter": "the plan has no charge for the meter; add one, or list the meter under not_charged",
}


class Tariffs:
    """Tariffs by rule book, holding and kind of usage; customers with the same plan and nothing else share them."""

    def __init__(self, rules: Rules, policies: Policies) -> None:
        self._rules = rules
        self._policies = policies
        self._kept: dict[tuple[str, Holding, str, frozenset[tuple[str, str]]], Tariff] = {}

    def of(self, day: CustomerDay, unit: str, dimensions: Mapping[str, str]) -> Tariff:
        """What usage of a unit with dimensions costs.

        Raises:
            UnpricedUsageError: it has no price, or none that bounds it.
            GuardRequestError: unit or dimensions are no text.
        """
        try:
            key = (day.book.version, day.holding, unit, frozenset(dimensions.items()))
            found = self._kept.get(key)
        except TypeError:
            raise _no_text(dimensions) from None
        if found is None:
            if not all(isinstance(text, str) for text in (unit, *dimensions, *dimensions.values())):
                raise _no_text(dimensions)
            found = self._make(day, unit, dimensions)
            if len(self._kept) >= TARIFFS_MOST:
                self._kept.clear()
            self._kept[key] = found
        return found

    def _make(self, day: CustomerDay, unit: str, dimensions: Mapping[str, str]) -> Tariff:
        text = json.dumps(dict(dimensions), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        tariff, is_taken = Tariff(), False
        for metered in taken_by(day.book, unit, text):
            is_taken = True
            for taker in self._takers(day, metered):
                by_event = metered.meter.aggregation in BY_EVENT
                tariff = tariff.plus(self._bound(taker, metered), by_event=by_event)
        if not is_taken:
            units = ", ".join(sorted({meter.unit for meter in day.book.meters.values()})) or "none"
            raise UnpricedUsageError(
                f"usage in {unit} with {text}",
                f"no meter of rule book {day.book.version} takes it; its meters take {units}",
            )
        return tariff

    def _takers(self, day: CustomerDay, metered: Metered) -> tuple[Taker, ...]:
        holding, meter = self._holding(day), metered.meter.name
        dimensions = metered.grouped_dimensions if holding.is_by_dimensions else ""
        found = taken(self._rules, day.book.version, meter, holding, dimensions)
        if found.fault is not None:
            what_to_do = _WHAT_TO_DO.get(found.fault, found.fault)
            raise UnpricedUsageError(
                f"plan {day.plan.name}, meter {meter} (rule book {day.book.version})", what_to_do
            )
        for taker in found.takers:
            if taker.currency != day.plan.currency:
                raise UnpricedUsageError(
                    f"{_named(taker)} in {day.plan.currency}, the currency of plan {day.plan.name},",
                    f"it is in {taker.currency}; reserve an amount instead of usage, or use an add-on in one currency",
                )
        return found.takers

    def _holding(self, day: CustomerDay) -> Holding:
        policy = self._policies.by_plan[day.plan.name].trial
        if day.holding.in_trial and policy.counts_trial_usage:
            return replace(day.holding, in_trial=False)
        return day.holding

    def _bound(self, taker: Taker, metered: Metered) -> Bound:
        if isinstance(taker.price, Free):
            return Even()
        given = self._policies.upper_unit_prices.get((taker.plan, taker.charge))
        bound = bound_of(taker.price, metered.meter, metered.grouped_dimensions, given)
        if isinstance(bound, NoPrice):
            raise UnpricedUsageError(
                f"{_named(taker)}: {bound.wanted}",
                "add a row to its price table, or a default, or a plan override for a rule book in use",
            )
        return bound or _unbounded(taker, metered)


def _no_text(dimensions: object) -> GuardRequestError:
    """Only from within the process: what comes as JSON has been checked by its types."""
    return GuardRequestError("usage.dimensions", dimensions, "give a unit, and dimensions as texts to texts")


def _named(taker: Taker) -> str:
    return f"{'add-on' if taker.is_add_on else 'plan'} {taker.plan}, charge {taker.charge}"


def _unbounded(taker: Taker, metered: Metered) -> NoReturn:
    shape = (
        taker.price.describe()
        if metered.meter.is_additive
        else f"the {metered.meter.aggregation} of meter {metered.meter.name}"
    )
    raise UnpricedUsageError(
        f"{_named(taker)} ({shape})",
        "what one use costs is known only once the period is over; say the most that a unit may cost, as "
        f"`upper_unit_prices: {{{taker.plan}: {{{taker.charge}: {{unit_price: …}}}}}}` of data/guard.yaml",
    )
