"""Tiers that rise, or at whose start the total falls: both may be meant, so they are only noted."""

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

from billing_pipeline.rating.book_gaps.gap import Gap
from billing_pipeline.rating.charge_models.price import Price, Priced, Segment
from billing_pipeline.rating.charge_models.unit_price import UnitPrice
from billing_pipeline.rating.money import EXACT, grouped, plain, stored_amount
from billing_pipeline.rating.rule_book import RuleBook

LEAST_QUANTITY = Decimal("0.000000001")
_RATES = (("unit_price", "unit price"), ("percent", "percentage"))


class _Row(NamedTuple):
    quantity: Decimal
    dimensions: str = "{}"
    event_count: int = 1


def tier_steps(book: RuleBook) -> Iterator[Gap]:
    """Steps of all prices that have tiers, of whatever charge model."""
    for section, plans in (("plans", book.plans), ("add_ons", book.add_ons)):
        for plan in plans.values():
            for charge in plan.charges:
                place = (section, plan.name, "charges", charge.name, "price", "tiers")
                tiers: tuple[Any, ...] = getattr(charge.price, "tiers", ())
                for index, (below, above) in enumerate(pairwise(tiers), start=1):
                    for code, message in _step(charge.price, below, above):
                        yield Gap((*place, f"[{index}]"), code, message, is_note=True)


def _step(price: Price, below: Any, above: Any) -> Iterator[tuple[str, str]]:
    for attribute, name in _RATES:
        before, after = getattr(below, attribute, None), getattr(above, attribute, None)
        # That the first units are free is what most tiers are for.
        if before is not None and after is not None and _rate(after) > _rate(before) > 0:
            rise = f"the {name} rises from {_text(before)} to {_text(after)}"
            yield "tier_rises", f"{rise}: more usage costs more each"
    limit: Decimal | None = below.up_to
    if limit is None:
        return
    at, behind = _total(price, limit), _total(price, EXACT.add(limit, LEAST_QUANTITY))
    if at is not None and behind is not None and behind < at:
        fall = f"the total falls from {_money(at)} at {grouped(limit)} to {_money(behind)} just above it"
        yield "total_falls", f"{fall}: less usage can cost more"


def _total(price: Price, quantity: Decimal) -> Fraction | None:
    """What a period with this quantity costs, or None where the price cannot say without dimensions."""
    (answer,) = price.rate(Segment(Decimal(), quantity, (_Row(quantity),)))
    return Fraction(answer.amount) if isinstance(answer, Priced) else None


def _rate(value: UnitPrice | Decimal) -> Decimal:
    return value.each if isinstance(value, UnitPrice) else value


def _text(value: UnitPrice | Decimal) -> str:
    return value.text if isinstance(value, UnitPrice) else f"{plain(value)} %"


def _money(amount: Fraction) -> str:
    return plain(round(stored_amount(amount), 6))
