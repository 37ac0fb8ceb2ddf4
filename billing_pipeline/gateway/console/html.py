"""HTML that cannot be broken out of: every text is escaped unless it is HTML made here."""

from collections.abc import Iterable
from html import escape
from typing import Union

_VOID = frozenset({"br", "input", "link", "meta"})


class Html(str):
    """Markup. Only this module makes it of texts."""

    __slots__ = ()


Child = Union[str, int, None, "Html", Iterable["Child"]]
Attribute = str | int | bool | None


def tag(element: str, /, *children: Child, **attributes: Attribute) -> Html:
    """An element. Attributes are named as in HTML, with `_` for `-`, and one more at the end of Python's own words.

    True is an attribute without a value; None and False leave it out.
    """
    shown = "".join(map(_attribute, attributes.items()))
    opened = f"<{element}{shown}>"
    return Html(opened if element in _VOID else f"{opened}{together(*children)}</{element}>")


def together(*children: Child) -> Html:
    """Children, one after the other; texts escaped, None left out."""
    return Html("".join(map(_child, children)))


def _child(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, str):
        return escape(child)
    return str(child) if isinstance(child, int) else "".join(map(_child, child))


def _attribute(attribute: tuple[str, Attribute]) -> str:
    name, value = attribute
    name = name.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
