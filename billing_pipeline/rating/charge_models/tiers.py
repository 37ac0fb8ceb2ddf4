"""Tiers: stretches of a pool's position with terms of their own, from 0 on without a gap, the last one open.

Bounds are inclusive: with tiers up to 10, up to 20 and open, unit 10 is in the first one and what comes above 10 in
the second, so 10.5 units are 10 of the first and 0.5 of the second.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Protocol, TypeVar

from billing_pipeline.rating.charge_models.unit_price import UnitPrice, read_per, read_price
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.money import grouped, plain

TIERS_MOST = 100
_ZERO = Decimal()


@dataclass(frozen=True)
class Bounds:
    """A stretch of positions: (above, up_to].

    Attributes:
        above: where the tier starts, exclusive.
        up_to: where it ends, inclusive; None is open.
    """

    above: Decimal
    up_to: Decimal | None

    @cached_property
    def text(self) -> str:
        """The tier for people: `up to 1,000`, `above 1,000`."""
        return f"above {grouped(self.above)}" if self.up_to is None else f"up to {grouped(self.up_to)}"


@dataclass(frozen=True)
class Tier(Bounds):
    """A tier with its unit price, and a fee that falls due once it is entered.

    Attributes:
        amount_cap: the most that the tier's units cost, its fee not counted; None is no limit.
    """

    unit_price: UnitPrice
    flat_fee: Decimal = Decimal()
    amount_cap: Decimal | None = None

    @cached_property
    def each(self) -> Decimal:
        """What one unit costs."""
        return self.unit_price.each

    @cached_property
    def price_text(self) -> str:
        """What its units cost, for people: `0.01`, `15 per 1,000,000, at most 900`."""
        return self.unit_price.text + capped_text(self.amount_cap)


class ChargedTier(Protocol):
    """A tier whose units cost the same each: at a unit price, or a percentage of an amount of money."""

    @property
    def above(self) -> Decimal:
        """Where it starts, exclusive."""

    @property
    def up_to(self) -> Decimal | None:
        """Where it ends, inclusive."""

    @property
    def flat_fee(self) -> Decimal:
        """Falls due once the tier is entered."""

    @property
    def amount_cap(self) -> Decimal | None:
        """The most that its units cost."""

    @property
    def each(self) -> Decimal:
        """What one unit costs."""

    @property
    def text(self) -> str:
        """Which tier, for people."""

    @property
    def price_text(self) -> str:
        """What its units cost, for people."""


Bounded = TypeVar("Bounded", bound=Bounds)
Found = TypeVar("Found", bound=Bounds)


def tier_at(tiers: Sequence[Bounded], position: Decimal) -> Bounded:
    """The tier that a position lies in; the first one for 0."""
    for tier in tiers[:-1]:
        if tier.up_to is None or position <= tier.up_to:
            return tier
    return tiers[-1]


def tiers_text(tiers: Sequence[ChargedTier]) -> str:
    """`up to 1,000 at 0.01, above 1,000 at 0.005 + 5`."""
    return ", ".join(
        f"{tier.text} at {tier.price_text}" + (f" + {plain(tier.flat_fee)}" if tier.flat_fee else "")
        for tier in tiers
    )


def capped_text(amount_cap: Decimal | None) -> str:
    """`, at most 900`, or nothing."""
    return "" if amount_cap is None else f", at most {plain(amount_cap)}"


def read_tiers(
    field: Field,
    read: Callable[[Mapping[str, Field], Decimal, Decimal | None], Found],
    *,
    required: Sequence[str],
    optional: Sequence[str] = (),
) -> tuple[Found, ...]:
    """`tiers: [{up_to, …}, …]`, rising, the last one open.

    Args:
        field: the list.
        read: makes a tier of its keys and its bounds.
        required: what every tier has, beside its bound.
        optional: what it may have.
    """
    items = field.items(least=1, most=TIERS_MOST)
    tiers: list[Found] = []
    above = _ZERO
    for index, item in enumerate(items):
        keys = item.mapping(required=required, optional=("up_to", *optional))
        up_to = _read_up_to(item, keys.get("up_to"), above, last=index == len(items) - 1)
        tiers.append(read(keys, above, up_to))
        above = up_to or above
    return tuple(tiers)


def read_unit_price_tiers(field: Field, *, optional: Sequence[str] = ()) -> tuple[Tier, ...]:
    """Tiers `{up_to, unit_price, per?, flat_fee?}`, with `amount_cap` where it is among the optional keys."""
    return read_tiers(field, _read_tier, required=("unit_price",), optional=("per", "flat_fee", *optional))


def read_fee(keys: Mapping[str, Field]) -> Decimal:
    """The `flat_fee` of a tier; 0 where it has none."""
    return read_price(keys["flat_fee"], 1) if "flat_fee" in keys else _ZERO


def read_amount_cap(keys: Mapping[str, Field]) -> Decimal | None:
    """The `amount_cap` of a tier; None where it has none."""
    return read_price(keys["amount_cap"], 1) if "amount_cap" in keys else None


def _read_tier(keys: Mapping[str, Field], above: Decimal, up_to: Decimal | None) -> Tier:
    per = read_per(keys.get("per"))
    price = UnitPrice(read_price(keys["unit_price"], per), per)
    return Tier(above, up_to, price, read_fee(keys), read_amount_cap(keys))


def _read_up_to(item: Field, field: Field | None, above: Decimal, *, last: bool) -> Decimal | None:
    if field is None:
        if not last:
            item.fault("has no `up_to`, but more tiers follow; give its inclusive upper bound")
        return None
    up_to = field.decimal(integer_digits=29, fraction_digits=9)
    if last:
        field.fault("closes the last tier; leave it out, so that every quantity has a price")
    elif up_to is not None and up_to <= above:
        field.fault(f"{plain(up_to)} is not above the tier before, which ends at {plain(above)}")
    return up_to
