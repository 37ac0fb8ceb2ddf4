"""Folding: dimensions that only carry an amount for the price are left out of lines, whose rows become one."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction

import msgspec

from billing_pipeline.rating.charge_models.price import dimension_values
from billing_pipeline.rating.charges import RatedCharge
from billing_pipeline.rating.money import EXACT, round_minor

FoldedBy = tuple[str, str, str, str]
"""What has a price of its own: plan, charge, rule version, term."""
PARTS_MOST = 100
"""Of a line, so that a line of a million payments stays one that can be read; the amounts are complete."""


def fold(charges: Iterable[RatedCharge], folded: Mapping[FoldedBy, tuple[str, ...]]) -> list[RatedCharge]:
    """The charges without the dimensions that their price folds, each key once and rounded once."""
    found: dict[object, RatedCharge] = {}
    for charge in charges:
        key = charge.key
        names = folded.get((key.plan, key.charge, key.rule_version, key.term))
        if names:
            key = msgspec.structs.replace(key, dimensions=without(key.dimensions, names))
            charge = msgspec.structs.replace(charge, key=key)  # noqa: PLW2901 - the same charge under its folded key
        known = found.get(key)
        found[key] = charge if known is None else _plus(known, charge)
    return list(found.values())


def without(dimensions: str, names: Iterable[str]) -> str:
    """Canonical JSON text of dimensions without some of them."""
    gone = frozenset(names)
    kept = {name: value for name, value in sorted(dimension_values(dimensions).items()) if name not in gone}
    return msgspec.json.encode(kept).decode()


def _plus(one: RatedCharge, other: RatedCharge) -> RatedCharge:
    amount = _sum(one.exact_amount, other.exact_amount)
    return RatedCharge(
        one.key,
        one.unit,
        EXACT.add(one.quantity, other.quantity),
        one.event_count + other.event_count,
        amount,
        round_minor(amount, one.key.currency),
        (*one.parts, *other.parts)[:PARTS_MOST],
    )


def _sum(one: Decimal | Fraction, other: Decimal | Fraction) -> Decimal | Fraction:
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return EXACT.add(one, other)
    return Fraction(one) + Fraction(other)
