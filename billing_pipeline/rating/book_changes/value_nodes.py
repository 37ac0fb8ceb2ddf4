"""The tree of any value of a rule book: numbers, prices, tables, tiers, and dataclasses made of them.

It goes by the values' own types and field names, so a new charge model needs nothing here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any

from billing_pipeline.rating.book_changes.node import Node, group
from billing_pipeline.rating.charge_models.price_table import PriceTable
from billing_pipeline.rating.charge_models.unit_price import UnitPrice
from billing_pipeline.rating.money import grouped, plain

TableNames = Mapping[int, str]
"""The names of the rule book's price tables by identity: a charge that names one says only that."""
_WORDS = {"flat": "unit_price"}
"""Fields that rule books call something else."""


def value_node(value: object, tables: TableNames) -> Node | None:
    """The tree of a value; None where nothing is said."""
    if value is None or (isinstance(value, str | tuple | frozenset) and not value):
        return None
    if isinstance(value, UnitPrice | Decimal):
        return _number(value)
    if isinstance(value, PriceTable):
        return table_node(value, tables)
    if isinstance(value, Mapping | tuple | frozenset):
        return _several(value, tables)
    if is_dataclass(value):
        return thing(value, tables, text="")
    return Node(str(value).lower() if isinstance(value, bool) else str(value))


def thing(value: Any, tables: TableNames, *, text: str, kind: str = "", without: Sequence[str] = ()) -> Node:
    """The tree of a dataclass, field by field.

    Args:
        value: the dataclass.
        tables: the named price tables.
        text: its summary.
        kind: its kind, where another one would replace it.
        without: fields to leave out, beside its name.
    """
    children = {
        _WORDS.get(each.name, each.name): value_node(getattr(value, each.name), tables)
        for each in fields(value)
        if each.name != "name" and each.name not in without
    }
    return Node(text, kind=kind or type(value).__name__, children=_named(children))


def table_node(table: PriceTable, tables: TableNames) -> Node:
    """A named price table as a charge names it; one that is written out with its rows."""
    name = tables.get(id(table))
    if name is not None:
        return Node(name)
    return written_table(table)


def written_table(table: PriceTable) -> Node:
    """A price table with its rows."""
    rows = {
        ", ".join(f"{name}={value}" for name, value in zip(table.by, match, strict=True)): _number(price)
        for match, price in table.prices.items()
    }
    children = {
        "currency": Node(table.currency),
        "by": Node(", ".join(table.by)),
        "rows": group(rows),
        "default": _number(table.default) if table.default else None,
    }
    text = f"{len(rows)} prices in {table.currency} by {', '.join(table.by)}"
    return Node(text, kind=f"table by {', '.join(table.by)}", children=_named(children))


def _number(value: UnitPrice | Decimal) -> Node:
    return Node(value.text, value.each) if isinstance(value, UnitPrice) else Node(plain(value), value)


def _several(
    value: Mapping[object, object] | tuple[object, ...] | frozenset[object], tables: TableNames
) -> Node:
    if isinstance(value, frozenset):
        return Node(", ".join(sorted(map(str, value))))
    if isinstance(value, Mapping):
        return group(_named({str(key): value_node(each, tables) for key, each in value.items()}))
    if all(isinstance(each, str) for each in value):
        return Node(", ".join(map(str, value)))
    if all(hasattr(each, "up_to") for each in value):
        return _tiers(value, tables)
    return group(_named({str(index): value_node(each, tables) for index, each in enumerate(value)}))


def _tiers(tiers: tuple[Any, ...], tables: TableNames) -> Node:
    """Tiers by where they start: a new one in the middle leaves the others what they are."""
    found: dict[str, Node] = {}
    above = Decimal()
    tier_node = partial(thing, tables=tables, without=("above",), kind="tier")
    for tier in tiers:
        node = tier_node(tier, text="")
        summary = ", ".join(f"{name} {each.text}" for name, each in node.children.items())
        found[f"above {grouped(above)}"] = replace(node, text=summary, rank=above)
        above = tier.up_to if tier.up_to is not None else above
    return group(found)


def _named(children: Mapping[str, Node | None]) -> dict[str, Node]:
    return {name: node for name, node in children.items() if node is not None}
