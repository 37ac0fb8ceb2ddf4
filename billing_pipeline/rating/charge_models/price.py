"""What every charge model has in common: the question it is asked and the answer it gives.

A charge is asked per pool and rule version: here is the position before you, here are your rows in pooled
order, what does each cost? That one question serves shapes that look at a row alone (a price table), at the
position (graduated) and at the pool's total (volume).

Terms that belong to the whole usage period (an included quantity) come from the version at its start, which a
segment carries as `opening`, and are prorated by `share`.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple, Protocol

import msgspec


class PoolRow(Protocol):
    """One line key's quantity within a pool, as charge models see it."""

    @property
    def dimensions(self) -> str:
        """Canonical JSON text, as in the rollup."""

    @property
    def quantity(self) -> Decimal:
        """In units of the meter."""

    @property
    def event_count(self) -> int:
        """How many events the quantity is made of."""


class Segment(NamedTuple):
    """What one rule version prices of one pool: a stretch of the period's position."""

    before: Decimal
    """The pool's position at the start of the stretch: all that earlier versions have priced."""
    total: Decimal
    """The pool's quantity over the whole usage period, all versions together."""
    rows: Sequence[PoolRow]
    """In pooled order."""
    events_before: int = 0
    """How many events all earlier versions have priced."""
    is_last: bool = True
    """No later version prices anything of the pool; what is charged once for a pool is charged here."""
    share: Fraction = Fraction(1)
    """The share of the usage period in which the plan is in force, 0 to 1; of an add-on times how many are held."""
    opening: "Price | None" = None
    """The charge's price by the version at the period's start; None: this one is it."""
    held: int = 1
    """How many of an add-on are held, which multiplies what is not prorated; `share` has it in it already."""


class Part(msgspec.Struct, frozen=True, gc=False):
    """How a share of an amount came about, for people."""

    tier: str
    """Which tier, or "" where the price has none."""
    quantity: Decimal
    unit_price: str
    flat_fee: Decimal
    amount: Decimal | Fraction


class Priced(NamedTuple):
    """A row's exact amount; its parts add up to it."""

    amount: Decimal | Fraction
    parts: tuple[Part, ...]


class NoPrice(NamedTuple):
    """The price says nothing about this row. Never zero: whoever asked must block the invoice."""

    wanted: str
    """What the price was looked up by: `model=atlas-large, token_class=output`."""


class Price(Protocol):
    """A charge model with its terms, as one charge of one plan has it. Models inherit what they leave as it is."""

    @property
    def tier_by(self) -> tuple[str, ...]:
        """Dimensions (and `project`) that each have a pool of their own; empty: one pool for all."""
        return ()

    @property
    def folded(self) -> tuple[str, ...]:
        """Dimensions that only carry an amount for the price; lines leave them out."""
        return ()

    @property
    def has_period_terms(self) -> bool:
        """Whether `share`, `opening` and `held` of a segment matter; they are only looked up where they do."""
        return False

    def of_zero(self) -> Priced | None:
        """What a usage period without any usage costs; None where it makes no line."""
        return None

    def rate(self, segment: Segment) -> Sequence[Priced | NoPrice]:
        """One answer per row, in the order of the rows."""

    def describe(self) -> str:
        """The terms in a few words, for people."""


@lru_cache(maxsize=100_000)
def dimension_values(dimensions: str) -> dict[str, str]:
    """The dimensions of a rollup row, parsed; null ones are left out.

    Rows repeat few distinct texts, so nearly every call is a look-up. The answer is shared: do not change it.
    """
    parsed = msgspec.json.decode(dimensions, type=dict[str, str | None])
    return {name: value for name, value in parsed.items() if value is not None}
