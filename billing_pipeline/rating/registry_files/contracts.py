"""Reads what a registry file says of plans, add-ons, coupons and re-ratings; its form is in `docs/contracts.md`."""

from collections.abc import Iterator
from datetime import date

from billing_pipeline.contract.registry import RegistryChange
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.registry_files.entry import (
    ENTRIES_MOST,
    RegistryEntry,
    dated_items,
    read_id,
    read_until,
    read_why,
)

DAYS_MOST = 36_500
QUANTITY_MOST = 1_000_000


def read_plans(field: Field, customer_id: str) -> Iterator[RegistryEntry]:
    """`plans: [{plan, effective_from, until?, trial_days?}]`."""
    for item in dated_items(field, required=("plan",), optional=("until", "trial_days")):
        details: dict[str, object] = {"plan": item.keys["plan"].name_text()}
        details |= read_until(item.keys.get("until"), item.start)
        if "trial_days" in item.keys:
            details["trial_days"] = item.keys["trial_days"].whole(least=0, most=DAYS_MOST)
        yield item.entry("plan_assignment", customer_id, "assign", details)


def read_plan_ends(field: Field, customer_id: str) -> Iterator[RegistryEntry]:
    """`plan_ends: DATE`, from which on the customer has no plan."""
    change = RegistryChange("plan_assignment", customer_id, "end", field.day())
    yield RegistryEntry(change, field, {})


def read_add_ons(field: Field, customer_id: str) -> Iterator[RegistryEntry]:
    """`add_ons: [{add_on, effective_from, until?, quantity?}]`; a quantity of 0 ends it."""
    for item in dated_items(field, required=("add_on",), optional=("until", "quantity")):
        entity_id = f"{customer_id}/{item.keys['add_on'].name_text()}"
        until = read_until(item.keys.get("until"), item.start)
        quantity = 1
        if "quantity" in item.keys:
            quantity = item.keys["quantity"].whole(least=0, most=QUANTITY_MOST)
        if quantity:
            details = {**until, "quantity": quantity}
            yield item.entry("add_on_assignment", entity_id, "assign", details)
            continue
        if until:
            item.keys["until"].fault("stands beside a quantity of 0, which ends the add-on; remove it")
        yield item.entry("add_on_assignment", entity_id, "end", {})


def read_coupons(field: Field, customer_id: str) -> Iterator[RegistryEntry]:
    """`coupons: [{coupon, effective_from}]`: what the customer has redeemed, and on which day."""
    for item in dated_items(field, required=("coupon",)):
        yield item.entry("coupon", customer_id, "redeem", {"coupon": item.keys["coupon"].name_text()})


def read_reratings(field: Field) -> Iterator[RegistryEntry]:
    """`reratings: [{customer, usage_period, rules?, who, why}]`."""
    for item in field.items(most=ENTRIES_MOST):
        keys = item.mapping(required=("customer", "usage_period", "who", "why"), optional=("rules",))
        rules = keys["rules"].name_text() if "rules" in keys else None
        change = rerating(
            read_id(keys["customer"]),
            keys["usage_period"].day(),
            rules=rules,
            who=read_why(keys["who"]),
            why=read_why(keys["why"]),
        )
        yield RegistryEntry(change, item, keys)


def rerating(
    customer_id: str, usage_period: date, *, rules: str | None, who: str, why: str
) -> RegistryChange:
    """The change that has a usage period rated again, with the prices of a rule version where one is named."""
    details: dict[str, object] = {"usage_period": usage_period.isoformat(), "who": who, "why": why}
    if rules is not None:
        details["rules"] = rules
    return RegistryChange("rerating", customer_id, "rerate", usage_period, details)
