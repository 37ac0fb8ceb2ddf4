"""Reads the amounts of a policy: one number where all its plans have one currency, else one for each currency."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from billing_pipeline.guardrails.nano import LARGEST_AMOUNT, major_of, nano_up
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.money import is_currency, plain

Amounts = Mapping[str, int]
"""Nano-units by currency."""

_INTEGER_DIGITS = 10
_FRACTION_DIGITS = 9


def read_amounts(field: Field, currencies: Sequence[str]) -> Amounts:
    """An amount in major units: `500.00`, or `{usd: 500, eur: 450}`.

    Args:
        field: the amount.
        currencies: of the plans that the policy holds for, sorted; the amount is there in each of them.
    """
    if field.is_scalar:
        amount = _read_amount(field)
        if len(currencies) > 1:
            each = ", ".join(f"{currency}: …" for currency in currencies)
            field.fault(
                f"is one number, but the policy holds for plans in {' and '.join(currencies)}; write {{{each}}}"
            )
        return dict.fromkeys(currencies, amount)
    found: dict[str, int] = {}
    for currency, child in field.entries(characters_most=3).items():
        if not is_currency(currency):
            child.fault(f"unknown currency {currency!r}; give a code of ISO 4217 in lower case, like usd")
        found[currency] = _read_amount(child)
    for currency in currencies:
        if currency not in found:
            field.fault(f"has no amount in {currency}, in which the policy holds for a plan; add one")
    return {currency: found.get(currency, 0) for currency in currencies}


def _read_amount(field: Field) -> int:
    amount = field.decimal(integer_digits=_INTEGER_DIGITS, fraction_digits=_FRACTION_DIGITS) or Decimal()
    nano = nano_up(amount)  # nine digits after the point are exact
    if nano > LARGEST_AMOUNT:
        field.fault(f"{plain(amount)} is more than {plain(major_of(LARGEST_AMOUNT))}; leave it out for none")
    return nano
