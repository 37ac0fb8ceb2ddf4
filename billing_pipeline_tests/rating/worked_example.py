"""Reads the worked examples that other products publish, `worked_examples/*.yaml`, each digit as it is written."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from billing_pipeline.rating.document import Field
from billing_pipeline.rating.document_file import read_document

FOLDER = Path(__file__).with_name("worked_examples")
SOURCES = ("stripe", "openmeter", "lago", "orb", "metronome")
_PAGE = ("source", "title", "url")
_CASE = ("amount", "quantity", "exact", "before", "events_before", "events", "dimensions", "rows")
_PLAN_CASE = ("total", "lines", "charges", "usage", "usage_period", "assigned", "anchor_day")
_INVOICE = ("total", "currency", "lines", "coupons", "grants", "off", "draws")


class Row(NamedTuple):
    """A row of a pool, as charge models see it."""

    quantity: Decimal
    event_count: int = 1
    dimensions: str = "{}"


class Page(NamedTuple):
    """Where examples were published."""

    source: str
    title: str
    url: str


@dataclass(frozen=True)
class Example:
    """One published result: `keys` are its fields, by name.

    Attributes:
        id: `stripe-volume-2`: source, example, and the case where it has several.
        derived: the page states the terms, the result follows from them.
    """

    id: str
    page: Page
    derived: bool
    keys: Mapping[str, Field]

    def fields(self, name: str) -> Mapping[str, Field]:
        """The fields of a mapping; none where it is left out."""
        return self.keys[name].entries(characters_most=100) if name in self.keys else {}

    def amounts(self, name: str) -> dict[str, Decimal]:
        """A mapping of names to numbers; empty where it is left out."""
        return {key: number(field) for key, field in self.fields(name).items()}

    def text(self, name: str, default: str) -> str:
        """A field's text."""
        return self.keys[name].text() if name in self.keys else default

    def rows(self) -> list[Row]:
        """What is priced: one row, or the several that are given."""
        if "rows" in self.keys:
            rows = (
                item.mapping(required=("quantity",), optional=_CASE) for item in self.keys["rows"].items()
            )
            return [_row(keys) for keys in rows]
        return [_row(self.keys)]


def number(field: Field) -> Decimal:
    """The number as it is written, with its sign."""
    return Decimal(field.text())


def own(field: Field) -> Field:
    """The field with faults of its own, so that a faulty example fails alone."""
    return replace(field, faults=[])


def charge_examples() -> list[Example]:
    """A price, a quantity and its amount each."""
    return list(_examples("charges.yaml", ("price", "currency", "group_by"), _CASE))


def plan_examples() -> list[Example]:
    """Plans, usage, and the lines and total that come of them."""
    return list(_examples("plans.yaml", ("plans",), _PLAN_CASE))


def invoice_examples() -> list[Example]:
    """Lines, coupons and credit grants, and what is left to pay."""
    return list(_examples("invoices.yaml", _INVOICE, ()))


def differences() -> list[tuple[Page, str]]:
    """What other products publish and our rules do not repeat."""
    root = read_document(FOLDER / "differs.yaml")
    found = [item.mapping(required=(*_PAGE, "what")) for item in root.items(least=1)]
    root.raise_faults()
    return [(_page(keys), keys["what"].text(most=1000)) for keys in found]


def _examples(file: str, names: tuple[str, ...], case_names: tuple[str, ...]) -> Iterator[Example]:
    root = read_document(FOLDER / file)
    for item in root.items(least=1):
        keys = item.mapping(required=(*_PAGE, "examples"))
        page = _page(keys)
        for example in keys["examples"].items(least=1):
            terms = example.mapping(required=("name",), optional=("derived", "cases", *names))
            derived = "derived" in terms and terms["derived"].choice(("true", "false")) == "true"
            cases = terms["cases"].items(least=1) if "cases" in terms else []
            name = f"{page.source}-{terms['name'].name_text()}"
            for index, case in enumerate(cases, start=1):
                of_case = case.mapping(optional=case_names)
                case_id = f"{name}-{index}" if len(cases) > 1 else name
                yield Example(case_id, page, derived, {**terms, **of_case})
            if not cases:
                yield Example(name, page, derived, terms)
    root.raise_faults()


def _page(keys: Mapping[str, Field]) -> Page:
    return Page(keys["source"].choice(SOURCES), keys["title"].text(), keys["url"].text())


def _row(keys: Mapping[str, Field]) -> Row:
    dimensions = keys["dimensions"].entries(characters_most=100) if "dimensions" in keys else {}
    values = {name: field.text() for name, field in dimensions.items()}
    return Row(
        number(keys["quantity"]),
        int(keys["events"].text()) if "events" in keys else 1,
        json.dumps(values, separators=(",", ":"), sort_keys=True),
    )
