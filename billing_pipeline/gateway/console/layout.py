"""What every page has: head, navigation, what was done last, and small parts that several pages use."""

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from billing_pipeline.gateway.console.html import Child, Html, tag, together
from billing_pipeline.gateway.console.sessions import Session
from billing_pipeline.gateway.console.words import full_moment, moment, money, short_money
from billing_pipeline.guardrails.scope import customer_of

ROOT = "/console"
_NAVIGATION = (
    ("Reviews", ROOT),
    ("Stops", f"{ROOT}/stops"),
    ("Customers", f"{ROOT}/customers"),
    ("Activity", f"{ROOT}/activity"),
)
NUMBER = "number"


def page(title: str, *body: Child, session: Session | None = None, here: str = "", waiting: int = 0) -> Html:
    """A whole page. `here` is the path of its entry in the navigation; `waiting` counts open reviews."""
    told = None
    if session is not None and session.told is not None:
        (words, is_bad), session.told = session.told, None
        told = tag("p", words, class_="told bad" if is_bad else "told", role="status")
    return together(
        Html("<!doctype html>"),
        tag(
            "html",
            tag(
                "head",
                tag("meta", charset="utf-8"),
                tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
                tag("title", f"{title} · billing console"),
                tag("link", rel="stylesheet", href=f"{ROOT}/style.css"),
                tag("link", rel="icon", href="data:,"),
            ),
            tag(
                "body",
                None if session is None else _header(session, here, waiting),
                tag("main", told, *body),
            ),
            lang="en",
        ),
    )


def _header(session: Session, here: str, waiting: int) -> Html:
    links = [
        tag(
            "a",
            name,
            tag("span", waiting, class_="count") if path == ROOT and waiting else None,
            href=path,
            aria_current="page" if path == here else None,
        )
        for name, path in _NAVIGATION
    ]
    return tag(
        "header",
        tag(
            "div",
            tag("a", "billing guard", class_="brand", href=ROOT),
            tag("nav", links, aria_label="Sections"),
            tag(
                "form",
                csrf_field(session),
                tag("span", session.who, class_="whose"),
                tag("button", "Log out", class_="small"),
                method="post",
                action=f"{ROOT}/logout",
                class_="whose",
            ),
            class_="bar",
        ),
    )


def csrf_field(session: Session) -> Html:
    """What makes a form this session's."""
    return tag("input", type="hidden", name="csrf", value=session.csrf)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Child]], *, numbers: frozenset[int] = frozenset()
) -> Html:
    """A table, or words where it would be empty. The columns whose places are in `numbers` stand to the right."""
    shown = [
        tag(
            "tr",
            [_cell(columns[place], cell, is_number=place in numbers) for place, cell in enumerate(row)],
        )
        for row in rows
    ]
    if not shown:
        return tag("p", "None.", class_="quiet")
    head = [
        tag("th", name, scope="col", class_=NUMBER if place in numbers else None)
        for place, name in enumerate(columns)
    ]
    return tag(
        "div", tag("table", tag("thead", tag("tr", head)), tag("tbody", shown)), class_="scroll", tabindex=0
    )


def tiles(parts: Iterable[tuple[str, Child, bool]], *, counts: bool = False) -> Html:
    """Figures with their names; those that are bad news are marked."""
    return tag(
        "div",
        [
            tag("div", tag("b", figure), tag("span", name), class_="tile bad" if is_bad else "tile")
            for name, figure, is_bad in parts
        ],
        class_="tiles counts" if counts else "tiles",
    )


def amount(nano: int, currency: str) -> Html:
    """An amount to the cent; all its digits are in the tooltip."""
    return tag("span", short_money(nano, currency), title=money(nano, currency), class_="amount")


def time(at_us: int) -> Html:
    """An instant; the whole of it is in the tooltip."""
    return tag("time", moment(at_us), datetime=full_moment(at_us), title=full_moment(at_us))


def scope_link(scope: str) -> Html:
    """A scope, leading to its customer."""
    return tag("a", tag("code", scope), href=customer_path(customer_of(scope)))


def customer_path(customer_id: str) -> str:
    """Where a customer is shown."""
    return f"{ROOT}/customers/{quote(customer_id, safe='')}"


def field(
    words: str,
    name: str,
    *,
    value: str = "",
    type_: str = "text",
    required: bool = True,
    placeholder: str = "",
    long: bool = False,
    list_: str | None = None,
) -> Html:
    """An input with its label."""
    return tag(
        "label",
        words,
        tag(
            "input",
            name=name,
            value=value or None,
            type=type_,
            required=required,
            placeholder=placeholder or None,
            list=list_,
            maxlength=500,
            inputmode="decimal" if name == "amount" else None,
            autocomplete="off",
        ),
        class_="long" if long else None,
    )


def choice(words: str, name: str, options: Iterable[str], chosen: str = "") -> Html:
    """A choice of one."""
    return tag(
        "label",
        words,
        tag(
            "select",
            [tag("option", each, value=each, selected=each == chosen) for each in options],
            name=name,
        ),
    )


def _cell(column: str, cell: Child, *, is_number: bool) -> Html:
    """On a phone, where a row is a list, the column's name stands before the cell."""
    return tag("td", tag("div", cell), class_=NUMBER if is_number else None, data_label=column)
