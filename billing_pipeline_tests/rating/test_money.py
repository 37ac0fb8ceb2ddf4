"""Money is exact, and rounded once, half away from zero, to the currency's own minor unit."""

from decimal import Decimal, Inexact
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.errors import CurrencyError
from billing_pipeline.rating.money import (
    EXACT,
    format_minor,
    is_currency,
    minor_exponent,
    plain,
    round_minor,
    stored_amount,
    sum_exact,
)

AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, places=24, min_value=-(10**14), max_value=10**14)


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("0.005", "usd", 1),
        ("-0.005", "usd", -1),
        ("0.004999999999999999999999", "usd", 0),
        ("-0.0049", "usd", 0),
        ("2.675", "usd", 268),
        ("0.5", "jpy", 1),
        ("1234.4", "jpy", 1234),
        ("-1.5", "krw", -2),
        ("0.0005", "kwd", 1),
        ("1.2344999", "bhd", 1234),
        ("0.00005", "clf", 1),
        ("99999999999999.994", "usd", 9_999_999_999_999_999),
    ],
)
def test_rounding_is_half_away_from_zero_in_the_minor_unit(amount: str, currency: str, minor: int) -> None:
    """Two, none, three and four decimals."""
    assert round_minor(Decimal(amount), currency) == minor
    assert round_minor(Fraction(amount), currency) == minor


@given(AMOUNTS, st.sampled_from(["usd", "jpy", "kwd", "clf"]))
def test_decimals_and_fractions_round_alike_and_to_the_nearest(amount: Decimal, currency: str) -> None:
    """Never further than half a minor unit, and odd in the sign."""
    minor = round_minor(amount, currency)
    assert minor == round_minor(Fraction(amount), currency)
    assert minor == -round_minor(-amount, currency)
    assert abs(Fraction(amount) * 10 ** minor_exponent(currency) - minor) <= Fraction(1, 2)


def test_a_third_rounds_from_its_exact_value() -> None:
    """Ratios stay exact until the rounding, and are kept with 24 digits."""
    assert round_minor(Fraction(2, 3), "usd") == 67
    assert stored_amount(Fraction(2, 3)) == Decimal("0." + "6" * 23 + "7")
    assert stored_amount(Fraction(-1, 8)) == Decimal("-0.125")


def test_exact_arithmetic_refuses_to_lose_a_digit() -> None:
    """A sum that does not fit raises instead of rounding."""
    with pytest.raises(Inexact):
        EXACT.divide(Decimal(1), Decimal(3))
    assert sum_exact([Decimal("1e28"), Decimal("1e-24"), Decimal("-1e28")]) == Decimal("1e-24")


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (123456, "usd", "1,234.56 USD"),
        (-5, "eur", "-0.05 EUR"),
        (1200, "jpy", "1,200 JPY"),
        (1, "kwd", "0.001 KWD"),
        (0, "usd", "0.00 USD"),
    ],
)
def test_minor_units_are_written_for_people(minor: int, currency: str, text: str) -> None:
    """With separators, sign and code."""
    assert format_minor(minor, currency) == text


def test_decimals_are_written_plainly() -> None:
    """No exponent, no trailing zeros, no minus zero."""
    numbers = ["1E-7", "100", "1.500", "-0.0", "1E+3", "0.00"]
    assert [plain(Decimal(number)) for number in numbers] == ["0.0000001", "100", "1.5", "0", "1000", "0"]


@pytest.mark.parametrize("currency", ["xxx", "USD", "", "usdt"])
def test_an_unknown_currency_is_an_error(currency: str) -> None:
    """There is no default number of decimals."""
    assert not is_currency(currency)
    with pytest.raises(CurrencyError, match="ISO 4217"):
        round_minor(Decimal(1), currency)
