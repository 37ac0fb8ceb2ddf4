"""Compares two rule books: what was added, removed and changed, in a stable order."""

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Literal, NamedTuple

from billing_pipeline.rating.book_changes.book_tree import book_tree
from billing_pipeline.rating.book_changes.node import Node
from billing_pipeline.rating.charge_models.per_unit import PerUnit
from billing_pipeline.rating.money import plain
from billing_pipeline.rating.rule_book import RuleBook

_EMPTY = Node(kind="group", is_group=True)
_PERCENT = Context(prec=60, rounding=ROUND_HALF_UP)
_HUNDREDTH = Decimal("0.01")


class Change(NamedTuple):
    """One difference between two rule books.

    Attributes:
        path: section, then name by name, down to the value; a price row goes by its dimensions.
        change: what happened to it.
        old: the value, or a summary of the thing, before; "" where it was added.
        new: and after.
        percent: how much a number rose or fell, to two digits; None where it was no number, or zero.
        used_by: of a price table: the plans and add-ons that look into it.
    """

    path: tuple[str, ...]
    change: Literal["added", "removed", "changed"]
    old: str
    new: str
    percent: Decimal | None = None
    used_by: tuple[str, ...] = ()


def compare_books(old: RuleBook, new: RuleBook) -> list[Change]:
    """All differences; the order of the files' keys does not matter, nor how a number is written."""
    before, after = book_tree(old), book_tree(new)
    changes = [
        change for section in after for change in _compare((section,), before[section], after[section])
    ]
    return [
        change._replace(used_by=_used_by(change.path[1], old, new))
        if change.path[0] == "price_tables"
        else change
        for change in changes
    ]


def _compare(path: tuple[str, ...], old: Node | None, new: Node | None) -> Iterator[Change]:
    if (old or new or _EMPTY).is_group:
        yield from _children(path, old or _EMPTY, new or _EMPTY)
    elif old is None or new is None:
        yield Change(
            path, "removed" if new is None else "added", old.text if old else "", new.text if new else ""
        )
    elif old.kind != new.kind or not (old.children or new.children):
        if (old.kind, old.text, old.number) != (new.kind, new.text, new.number):
            yield Change(path, "changed", old.text, new.text, _percent(old.number, new.number))
    else:
        yield from _children(path, old, new)


def _children(path: tuple[str, ...], old: Node, new: Node) -> Iterator[Change]:
    both = {**old.children, **new.children}
    for name in sorted(both, key=lambda name: (both[name].rank, name)):
        yield from _compare((*path, name), old.children.get(name), new.children.get(name))
    before = [name for name in old.children if name in new.children]
    after = [name for name in new.children if name in old.children]
    if new.order_matters and before != after:
        yield Change((*path, "order"), "changed", ", ".join(before), ", ".join(after))


def _percent(old: Decimal | None, new: Decimal | None) -> Decimal | None:
    if old is None or new is None or not old:
        return None
    return _PERCENT.divide((new - old) * 100, old).quantize(_HUNDREDTH, context=_PERCENT)


def percent_text(percent: Decimal | None) -> str:
    """`+25 %`, `-3.33 %`, or nothing."""
    return "" if percent is None else f"{'+' if percent > 0 else ''}{plain(percent)} %"


def _used_by(table: str, *books: RuleBook) -> tuple[str, ...]:
    found: set[str] = set()
    for book in books:
        wanted = book.price_tables.get(table)
        for plan in (*book.plans.values(), *book.add_ons.values()):
            prices = [charge.price for charge in plan.charges]
            if any(isinstance(price, PerUnit) and price.table is wanted is not None for price in prices):
                found.add(plan.name)
    return tuple(sorted(found))
