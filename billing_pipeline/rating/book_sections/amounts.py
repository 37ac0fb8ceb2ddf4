"""Reads what the terms of a plan and coupons have in common: currency, amount, percentage, scope, description."""

from collections.abc import Collection, Mapping
from decimal import Decimal

from billing_pipeline.rating.document import Field
from billing_pipeline.rating.money import UNIT_PRICE_INTEGER_DIGITS, is_currency, minor_exponent, plain
from billing_pipeline.rating.plan_terms.discount import PERCENT_MOST

PERCENT_FRACTION_DIGITS = 9
SCOPE_MOST = 1000
_ZERO = Decimal()


def read_currency(field: Field) -> str:
    """A currency code of ISO 4217 in lower case; "" where it is none."""
    currency = field.text()
    if currency and not is_currency(currency):
        field.fault(f"unknown currency {currency!r}; give a code of ISO 4217 in lower case, like usd")
        return ""
    return currency


def read_amount(field: Field, currency: str) -> Decimal:
    """An amount >= 0 in major units that can stand on an invoice: no more digits than the currency has."""
    amount = field.decimal(integer_digits=UNIT_PRICE_INTEGER_DIGITS, fraction_digits=PERCENT_FRACTION_DIGITS)
    if amount is None:
        return _ZERO
    check_billable(field, amount, currency)
    return amount


def check_billable(field: Field, amount: Decimal, currency: str) -> None:
    """Note an amount with more digits after the point than its currency's minor unit."""
    if not is_currency(currency):
        return  # which is a fault of its own
    digits = minor_exponent(currency)
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > digits:
        field.fault(
            f"{plain(amount)} cannot be billed in {currency}, which has {digits} digits after the point; round it"
        )


def read_off(field: Field, keys: Mapping[str, Field], currency: str) -> tuple[Decimal | None, Decimal | None]:
    """What is taken off: exactly one of `percent` (0 to 100) and `amount`."""
    percent = amount = None
    if "percent" in keys:
        percent = keys["percent"].decimal(integer_digits=3, fraction_digits=PERCENT_FRACTION_DIGITS)
        if percent is not None and percent > PERCENT_MOST:
            keys["percent"].fault(f"{plain(percent)} is more than {PERCENT_MOST}; give 0 to {PERCENT_MOST}")
    if "amount" in keys:
        amount = read_amount(keys["amount"], currency)
    if "percent" in keys and "amount" in keys:
        keys["amount"].fault("stands beside `percent`; keep one of the two")
    elif "percent" not in keys and "amount" not in keys:
        field.fault("has neither `percent` nor `amount`; give one")
    return percent, amount


def read_scope(field: Field | None, names: Collection[str]) -> frozenset[str]:
    """`applies_to`: some of the known names, each once; empty where it is left out, which means all."""
    found: set[str] = set()
    if field is None:
        return frozenset()
    items = field.items(most=SCOPE_MOST)
    if field.is_list and not items:
        field.fault("names nothing; leave it out to apply to everything")
    for item in items:
        name = item.choice(sorted(names))
        if name and name in found:
            item.fault(f"{name!r} is named twice; keep one")
        found.add(name)
    return frozenset(found - {""})


def read_description(keys: Mapping[str, Field], name: str) -> str:
    """The text for people; without one the name is made readable."""
    return keys["description"].text() if "description" in keys else name.replace("_", " ").capitalize()
