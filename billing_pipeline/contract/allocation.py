"""Splits a quantity among payers: largest remainder at the quantity's own scale, ties in listed order."""

from collections.abc import Sequence

from billing_pipeline.contract.decimals import scaled, unscaled
from billing_pipeline.contract.limits import SHARE_FRACTIONAL_DIGITS

WHOLE = 10**SHARE_FRACTIONAL_DIGITS
EVENT_SHARE_DIGITS = 9
"""Of a split event's parts, as of every quantity."""


def share_units(share: str) -> int:
    """A share as a count of 10^-18."""
    return scaled(share, SHARE_FRACTIONAL_DIGITS)


def split(quantity: str, shares: Sequence[str]) -> list[str]:
    """The parts of `quantity`, one for each share; they add up to it exactly.

    Args:
        quantity: normalized decimal text, not below zero; its fractional digits are the finest part there is.
        shares: decimal texts that add up to exactly 1.
    """
    scale = len(quantity.partition(".")[2])
    return _split(scaled(quantity, scale), scale, shares)


def split_event(shares: Sequence[str]) -> list[str]:
    """Each payer's part of the event itself, at nine fractional digits; they add up to exactly 1."""
    return _split(10**EVENT_SHARE_DIGITS, EVENT_SHARE_DIGITS, shares)


def _split(whole: int, scale: int, shares: Sequence[str]) -> list[str]:
    products = [whole * share_units(share) for share in shares]
    parts = [product // WHOLE for product in products]
    by_remainder = sorted(range(len(parts)), key=lambda index: -(products[index] % WHOLE))
    for index in by_remainder[: whole - sum(parts)]:
        parts[index] += 1
    return [unscaled(part, scale) for part in parts]
