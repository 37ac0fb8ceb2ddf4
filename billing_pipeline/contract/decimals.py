"""Decimals of the contract as text: quantities, deltas and shares. No float anywhere, no exponent ever."""

import re
from decimal import Decimal

QUANTITY_PATTERN = r"[0-9]{1,29}(?:\.[0-9]{1,9})?"
DELTA_PATTERN = r"-?" + QUANTITY_PATTERN
SHARE_PATTERN = r"(?:0\.[0-9]{1,18}|1(?:\.0{1,18})?)"

DIGITS = re.compile(r"-?([0-9]+)(?:\.([0-9]+))?", re.ASCII)
SHARE = re.compile(SHARE_PATTERN, re.ASCII)


def normalized(text: str) -> str:
    """Plain decimal text of the same value: no leading or trailing zeros, no `-0` (`007.50` → `7.5`).

    The text must be digits with at most one point between them and at most a minus before them.
    """
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    if digits[0] == "0":
        digits = digits.lstrip("0")
        if not digits or digits[0] == ".":
            digits = "0" + digits
    return digits if digits == "0" else sign + digits


def plain(value: Decimal) -> str:
    """Plain decimal text of a finite decimal, without an exponent or trailing zeros."""
    return normalized(format(value, "f"))


def scaled(text: str, scale: int) -> int:
    """The decimal as an integer count of 10^-scale; it may not have more fractional digits than that."""
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(scale, "0"))


def unscaled(count: int, scale: int) -> str:
    """Normalized text of a count of 10^-scale, not below zero."""
    digits = str(count).rjust(scale + 1, "0")
    return normalized(f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits)
