"""Reads the terms of an override beside the plan that it changes, by one rule version."""

from collections.abc import Mapping
from itertools import chain
from typing import NamedTuple

from billing_pipeline.rating.book_sections.terms import TERM_KEYS, read_plan_terms
from billing_pipeline.rating.charge_models.by_name import read_charge_model
from billing_pipeline.rating.charge_models.per_unit import PerUnit
from billing_pipeline.rating.charge_models.price_table import read_rows
from billing_pipeline.rating.charge_models.surroundings import Surroundings
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.plan_terms.commitment import Maximum, Minimum
from billing_pipeline.rating.plan_terms.discount import Discount
from billing_pipeline.rating.rule_book import Charge, Meter, Plan, PlanTerm, RuleBook

_KINDS: Mapping[str, type[PlanTerm]] = {"discounts": Discount, "minimums": Minimum, "maximums": Maximum}


class Target(NamedTuple):
    """A plan or add-on that an override changes, by one rule version."""

    book: RuleBook
    plan: Plan


def read_override(keys: Mapping[str, Field], target: Target) -> bool:
    """Note the faults of an override's terms beside a plan.

    Args:
        keys: the override's fields, whose faults are noted.
        target: the plan.

    Returns:
        Whether it changes this plan: its charge is there, or its meter, to which it adds a charge.
    """
    _read_terms(keys, target.plan)
    if "charge" not in keys:
        return True
    name = keys["charge"].name_text()
    if name in {fee.name for fee in target.plan.flat_fees}:
        keys["charge"].fault(
            f"{name!r} is a flat fee, which has no price per use; give `discounts` that apply to it"
        )
        return True
    charge = next((each for each in target.plan.charges if each.name == name), None)
    meter = target.book.meters.get(charge.meter if charge else _meter_name(keys))
    if meter is None:
        return False
    if charge is not None and _meter_name(keys) not in {"", charge.meter}:
        keys["meter"].fault(f"the charge prices the meter {charge.meter!r} in this plan; remove `meter`")
    _read_price(keys, target, charge, meter)
    return True


def _meter_name(keys: Mapping[str, Field]) -> str:
    return keys["meter"].name_text() if "meter" in keys else ""


def _read_price(keys: Mapping[str, Field], target: Target, charge: Charge | None, meter: Meter) -> None:
    if "price" in keys:
        read_charge_model(keys["price"], Surroundings(target.plan.currency, meter.group_by, {}))
    elif "rows" in keys and charge is not None:
        price = charge.price
        if isinstance(price, PerUnit) and price.table is not None:
            read_rows(keys["rows"], price.table.by)
        else:
            keys["rows"].fault(f"the charge {charge.name!r} has no price table to add rows to; give `price`")


def _read_terms(keys: Mapping[str, Field], plan: Plan) -> None:
    """Its terms replace the plan's of the same kind, and stand beside those of the others."""
    terms = read_plan_terms(keys, plan.currency, plan.charge_names)
    kept = [
        term
        for key, kind in _KINDS.items()
        if key not in keys
        for term in plan.terms
        if isinstance(term, kind)
    ]
    items = chain.from_iterable(keys[key].items() for key in TERM_KEYS if key in keys)
    for item, term in zip(items, terms, strict=False):
        for other in kept:
            if term.name == other.name:
                item.fault(f"{term.name!r} is the name of a term that the plan keeps; give it another")
            elif _cross(term, other):
                item.fault(
                    f"shares charges with {other.name!r} of the plan, but neither scope lies in the other; make one "
                    "contain the other, or keep them apart"
                )


def _cross(one: PlanTerm, other: PlanTerm) -> bool:
    common = one.applies_to & other.applies_to
    return bool(common) and common not in {one.applies_to, other.applies_to}
