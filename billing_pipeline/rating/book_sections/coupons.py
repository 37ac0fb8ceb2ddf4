"""Reads the section `coupons`: what customers may redeem, over all their plans and add-ons."""

from collections.abc import Collection

from billing_pipeline.rating.book_sections.amounts import (
    read_currency,
    read_description,
    read_off,
    read_scope,
)
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.plan_terms.coupon import Coupon

PERIODS_MOST = 1200
_DURATIONS = ("once", "forever")


def read_coupon(name: str, field: Field, charge_names: Collection[str]) -> Coupon:
    """One coupon of the book.

    Args:
        name: its name.
        field: its terms.
        charge_names: the charges and flat fees of all plans and add-ons.
    """
    keys = field.mapping(
        required=("duration",), optional=("percent", "amount", "currency", "applies_to", "description")
    )
    currency = read_currency(keys["currency"]) if "currency" in keys else ""
    percent, amount = read_off(field, keys, currency)
    if "amount" in keys and "currency" not in keys:
        field.fault("has an `amount` but no `currency`; say which, like usd")
    elif "percent" in keys and "amount" not in keys and "currency" in keys:
        keys["currency"].fault("stands beside `percent`, which is for every currency; remove it")
    once, periods = _read_duration(keys["duration"])
    scope = read_scope(keys.get("applies_to"), charge_names)
    return Coupon(name, percent, amount, currency, once, periods, scope, read_description(keys, name))


def _read_duration(field: Field) -> tuple[bool, int | None]:
    """Whether it is for one invoice only, and for how many usage periods."""
    text = field.text()
    if text.isdecimal():
        return False, field.whole(least=1, most=PERIODS_MOST)
    if text and text not in _DURATIONS:
        field.fault(f"unknown {text!r}; give once, forever or a whole number of usage periods, like 3")
    return text == "once", None
