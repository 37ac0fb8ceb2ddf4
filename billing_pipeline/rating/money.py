"""Money: minor units per currency, exact arithmetic, the one rounding.

Amounts are decimals of the major unit, never floats. Products and sums are taken in `EXACT`, a decimal
context that raises where a digit would be lost: decimals are several times faster than fractions and read
like the invoice. A shape that needs a true ratio (proration, a third of something) computes with `Fraction`,
which `round_minor` and `stored_amount` take as well. A quantity has up to 9 fractional digits, the price of
one unit up to 15, so quantity x price always fits the 24 that tables keep.
"""

from collections.abc import Iterable
from decimal import (
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)
from fractions import Fraction

from billing_pipeline.errors import CurrencyError

EXACT = Context(prec=120, rounding=ROUND_HALF_UP, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
"""29 + 9 digits of quantity times 12 + 15 of price are 65; the rest is room for sums."""

UNIT_PRICE_INTEGER_DIGITS = 12
UNIT_PRICE_FRACTION_DIGITS = 15
"""Of the price of one unit, that is after dividing by `per`."""
AMOUNT_PRECISION = 38
AMOUNT_SCALE = 24
"""Unrounded amounts are stored as DECIMAL(38, 24): 9 + 15 fractional digits, up to 10^14 major units."""
AMOUNT_LIMIT = Decimal(10) ** (AMOUNT_PRECISION - AMOUNT_SCALE)

_ROUND_TO_SCALE = Context(prec=120, rounding=ROUND_HALF_EVEN)
_STORED = Decimal(1).scaleb(-AMOUNT_SCALE)

# ISO 4217 without funds, metals and test codes.
_NO_DIGITS = "bif clp djf gnf isk jpy kmf krw pyg rwf ugx uyi vnd vuv xaf xof xpf"
_TWO_DIGITS = """
aed afn all amd aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd btn bwp byn bzd cad cdf chf
cny cop crc cup cve czk dkk dop dzd egp ern etb eur fjd fkp gbp gel ghs gip gmd gtq gyd hkd hnl htg
huf idr ils inr irr jmd kes kgs khr kpw kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mru
mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln qar ron rsd rub sar sbd scr
sdg sek sgd shp sle sos srd ssp stn svc syp szl thb tjs tmt top try ttd twd tzs uah usd uyu uzs ved
ves wst xcd yer zar zmw zwg
"""
_THREE_DIGITS = "bhd iqd jod kwd lyd omr tnd"
_FOUR_DIGITS = "clf uyw"
_EXPONENTS = {
    currency: exponent
    for exponent, text in ((0, _NO_DIGITS), (2, _TWO_DIGITS), (3, _THREE_DIGITS), (4, _FOUR_DIGITS))
    for currency in text.split()
}


def is_currency(code: str) -> bool:
    """Whether this is a currency code of ISO 4217, in lower case."""
    return code in _EXPONENTS


def minor_exponent(currency: str) -> int:
    """Digits after the point of the currency's minor unit: 2 for usd, 0 for jpy, 3 for kwd.

    Raises:
        CurrencyError: the code is none of ISO 4217 in lower case.
    """
    try:
        return _EXPONENTS[currency]
    except KeyError:
        raise CurrencyError(currency) from None


def round_minor(amount: Decimal | Fraction, currency: str) -> int:
    """The amount (major units) in whole minor units, half away from zero.

    Raises:
        CurrencyError: the currency is unknown.
    """
    exponent = minor_exponent(currency)
    if isinstance(amount, Decimal):
        return int(EXACT.to_integral_value(EXACT.scaleb(amount, exponent)))
    doubled = 2 * abs(amount.numerator) * int(10**exponent)
    whole = (doubled + amount.denominator) // (amount.denominator * 2)
    return whole if amount.numerator >= 0 else -whole


def stored_amount(amount: Decimal | Fraction) -> Decimal:
    """The unrounded amount as tables keep it: exact for decimals, a ratio to `AMOUNT_SCALE` digits.

    Only for showing and keeping: what is charged is rounded from the exact amount.
    """
    if isinstance(amount, Decimal):
        return amount
    numerator, denominator = Decimal(amount.numerator), Decimal(amount.denominator)
    return _ROUND_TO_SCALE.divide(numerator, denominator).quantize(_STORED, ROUND_HALF_EVEN, _ROUND_TO_SCALE)


def sum_exact(amounts: Iterable[Decimal]) -> Decimal:
    """The sum, with every digit."""
    total = Decimal()
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


def plain(value: Decimal) -> str:
    """The decimal in plain notation without trailing zeros: `0.0000001`, `100`, `-1.5`."""
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def grouped(value: Decimal) -> str:
    """The decimal for people, with separators and without trailing zeros: `1,234,567.5`."""
    return f"{EXACT.normalize(value):,f}"


def format_minor(amount_minor: int, currency: str) -> str:
    """Minor units for people: `1,234.56 USD`, `-0.05 EUR`, `1,200 JPY`.

    Raises:
        CurrencyError: the currency is unknown.
    """
    exponent = minor_exponent(currency)
    whole, fraction = divmod(abs(amount_minor), 10**exponent)
    sign = "-" if amount_minor < 0 else ""
    point = f".{fraction:0{exponent}d}" if exponent else ""
    return f"{sign}{whole:,}{point} {currency.upper()}"


def times(amount: Decimal, ratio: Fraction) -> Decimal | Fraction:
    """The product, exactly: a decimal where the ratio is whole."""
    if ratio.denominator == 1:
        return EXACT.multiply(amount, Decimal(ratio.numerator))
    return Fraction(amount) * ratio


def shown_ratio(ratio: Fraction) -> Decimal:
    """A ratio to nine digits, for people and for tables; no amount is made from it."""
    return EXACT.scaleb(Decimal(round(ratio * 10**9)), -9).normalize(EXACT)


def major_text(amount_minor: int, currency: str) -> str:
    """Minor units as an amount for programs, with the currency's digits: `1234.50`, `-0.05`, `1200`.

    Raises:
        CurrencyError: the currency is unknown.
    """
    return f"{EXACT.scaleb(Decimal(amount_minor), -minor_exponent(currency)):f}"


def negated(amount: Decimal | Fraction) -> Decimal | Fraction:
    """The amount with the other sign, to the last digit (a bare `-` would round to the ambient context)."""
    return EXACT.minus(amount) if isinstance(amount, Decimal) else -amount
