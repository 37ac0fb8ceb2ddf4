"""A rule book as a tree of what it says, so that two of them can be compared without knowing every shape of a price."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

_ZERO = Decimal()


@dataclass(frozen=True)
class Node:
    """A value, a thing that is made of values, or a group of things.

    Attributes:
        text: the value; of a thing a summary, for when it is added, removed or replaced as a whole.
        number: of a value that a relative change can be said of.
        kind: things of two kinds are not compared value by value; one replaces the other.
        children: by name; a value has none.
        is_group: it stands for nothing itself: an empty group is as good as none.
        order_matters: of a group.
        rank: where it stands among its siblings, before the name decides.
    """

    text: str = ""
    number: Decimal | None = None
    kind: str = "value"
    children: Mapping[str, "Node"] = field(default_factory=dict)
    is_group: bool = False
    order_matters: bool = False
    rank: Decimal = _ZERO


def group(children: Mapping[str, Node], *, order_matters: bool = False) -> Node:
    """A group of things by name."""
    return Node(kind="group", children=children, is_group=True, order_matters=order_matters)
