"""Amounts as Stripe counts them, which for a few currencies is not how ISO 4217 does.

ISK and UGX have no minor unit, but Stripe takes them in hundredths that must be whole; MGA has one that
Stripe does not know; amounts with three decimals must end in 0
(https://docs.stripe.com/currencies#special-cases).
"""

from decimal import Decimal

from billing_pipeline.errors import StripeAmountError
from billing_pipeline.rating.money import EXACT, format_minor, minor_exponent

_STRIPE_EXPONENTS = {"isk": 2, "ugx": 2, "mga": 0}
_MULTIPLES = {"isk": 100, "ugx": 100}
AMOUNT_LIMIT = 99_999_999_999
"""Of one line, on either side of zero; far above any invoice and far below what a 64-bit integer holds."""


def to_stripe_amount(amount_minor: int, currency: str) -> int:
    """The amount (minor units of ISO 4217) in the integer that Stripe takes for it.

    Raises:
        CurrencyError: the currency is unknown.
        StripeAmountError: Stripe cannot represent the amount; nothing is rounded here.
    """
    ours = minor_exponent(currency)
    theirs = _STRIPE_EXPONENTS.get(currency, ours)
    amount, rest = divmod(amount_minor * int(10**theirs), int(10**ours))
    if rest:
        raise StripeAmountError(
            currency, amount_minor, f"{format_minor(amount_minor, currency)} has a fraction"
        )
    fault = stripe_amount_fault(amount, currency)
    if fault:
        raise StripeAmountError(currency, amount_minor, fault)
    return amount


def from_stripe_amount(amount: int, currency: str) -> Decimal:
    """Stripe's integer in minor units of ISO 4217: whole for every amount that was sent from here.

    Raises:
        CurrencyError: the currency is unknown.
    """
    ours = minor_exponent(currency)
    return EXACT.scaleb(Decimal(amount), ours - _STRIPE_EXPONENTS.get(currency, ours))


def stripe_amount_fault(amount: int, currency: str) -> str | None:
    """Why Stripe refuses this integer as an amount of the currency, or None."""
    exponent = minor_exponent(currency)
    if exponent > 3:  # noqa: PLR2004 - three decimals are the most that Stripe knows
        return f"Stripe takes at most three decimals, {currency} has {exponent}"
    multiple = 10 if exponent == 3 else _MULTIPLES.get(currency, 1)  # noqa: PLR2004 - as above
    if amount % multiple:
        return f"amounts of {currency} must be multiples of {multiple}"
    if abs(amount) > AMOUNT_LIMIT:
        return f"amounts must lie between -{AMOUNT_LIMIT} and {AMOUNT_LIMIT}"
    return None
