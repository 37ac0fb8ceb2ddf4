"""What the sheet says of each charge model, read from `models.yaml`, and what quantities cost."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from billing_pipeline.charge_sheet.yaml_text import yaml_text
from billing_pipeline.rating.charge_models.by_name import read_charge_model
from billing_pipeline.rating.charge_models.price import Part, Price, Priced, Segment
from billing_pipeline.rating.charge_models.surroundings import Surroundings
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.document_file import read_document
from billing_pipeline.rating.money import grouped, plain

FILE = Path(__file__).with_name("models.yaml")
_DIGITS = {"integer_digits": 12, "fraction_digits": 9}
_WHOLE = Fraction(1)
_TIMES = "\N{MULTIPLICATION SIGN}"


class Row(NamedTuple):
    """One row of usage, as charge models see it."""

    quantity: Decimal
    event_count: int
    dimensions: str


@dataclass(frozen=True)
class Curve:
    """One line of a plot.

    Attributes:
        label: "" where it is the only one.
        bounds: where the line may bend or jump; marked in the plot.
        dimensions: of the usage.
        share: the part of the period in which the plan is in force.
    """

    label: str
    bounds: tuple[Decimal, ...]
    dimensions: Mapping[str, str]
    share: Fraction = _WHOLE


@dataclass(frozen=True)
class ModelSheet:
    """A charge model's section.

    Attributes:
        terms: the example's terms, as they stand in a rule book.
        unit: what the quantity is.
        to: where the plot ends.
        event_dimension: carries the amount of the one event that the quantity is; "" where there is none.
        cases: quantities and dimensions of the table.
    """

    model: str
    line: str
    formula: str
    notes: tuple[str, ...]
    terms: str
    price: Price
    currency: str
    unit: str
    to: Decimal
    event_dimension: str
    cases: tuple[tuple[Decimal, Mapping[str, str]], ...]
    curves: tuple[Curve, ...]

    def priced(self, quantity: Decimal, dimensions: Mapping[str, str], share: Fraction = _WHOLE) -> Priced:
        """What a period with this usage costs, and how it is made."""
        if not quantity:
            return self.price.of_zero() or Priced(Decimal(), ())
        values = {**dimensions, self.event_dimension: plain(quantity)} if self.event_dimension else dimensions
        row = Row(quantity, 1, json.dumps(values, separators=(",", ":"), sort_keys=True))
        (answer,) = self.price.rate(Segment(Decimal(), quantity, [row], share=share))
        assert isinstance(answer, Priced), f"the sheet's example of {self.model} has no price"  # noqa: S101 - of models.yaml
        return answer


def part_text(part: Part) -> str:
    """How a part is made, for the table: 1,000 times 0.01 plus 5."""
    fee = plain(part.flat_fee) if part.flat_fee else ""
    if part.unit_price == "0":
        return fee or f"{grouped(part.quantity)} free"
    return f"{grouped(part.quantity)} {_TIMES} {part.unit_price}" + (f" + {fee}" if fee else "")


def model_sheets() -> tuple[ModelSheet, ...]:
    """The sections, in the order of the page.

    Raises:
        DocumentError: `models.yaml` is faulty.
    """
    root = read_document(FILE)
    sheets = tuple(_read(item) for item in root.items(least=1))
    root.raise_faults()
    return sheets


def _read(item: Field) -> ModelSheet:
    keys = item.mapping(
        required=("model", "line", "formula", "price", "currency", "unit", "to", "cases"),
        optional=("notes", "bounds", "every", "event_dimension", "curves"),
    )
    to = _decimal(keys["to"])
    event_dimension = keys["event_dimension"].text() if "event_dimension" in keys else ""
    cases = [case.mapping(required=("quantity",), optional=("dimensions",)) for case in keys["cases"].items()]
    named = {event_dimension} - {""}
    for case in cases:
        named |= set(_dimensions(case))
    currency = keys["currency"].text()
    price = read_charge_model(keys["price"], Surroundings(currency, tuple(sorted(named)), {}))
    item.raise_faults()
    assert price is not None  # noqa: S101 - for the type checker; without a price there is a fault
    return ModelSheet(
        model=keys["model"].name_text(),
        line=keys["line"].text(),
        formula=keys["formula"].text(),
        notes=tuple(note.text(most=1000) for note in keys["notes"].items()) if "notes" in keys else (),
        terms=yaml_text("price", keys["price"]),
        price=price,
        currency=currency,
        unit=keys["unit"].text(),
        to=to,
        event_dimension=event_dimension,
        cases=tuple((_decimal(case["quantity"]), _dimensions(case)) for case in cases),
        curves=_curves(keys, to),
    )


def _curves(keys: Mapping[str, Field], to: Decimal) -> tuple[Curve, ...]:
    bounds = tuple(_decimal(bound) for bound in keys["bounds"].items()) if "bounds" in keys else ()
    if "every" in keys:
        every = _decimal(keys["every"])
        bounds = tuple(every * n for n in range(1, int(to / every) + 1))
    if "curves" not in keys:
        return (Curve("", bounds, {}),)
    found = []
    for item in keys["curves"].items(least=1):
        own = item.mapping(required=("label",), optional=("dimensions", "share", "bounds"))
        own_bounds = tuple(_decimal(bound) for bound in own["bounds"].items()) if "bounds" in own else bounds
        share = Fraction(own["share"].text()) if "share" in own else _WHOLE
        found.append(Curve(own["label"].text(), own_bounds, _dimensions(own), share))
    return tuple(found)


def _dimensions(keys: Mapping[str, Field]) -> dict[str, str]:
    if "dimensions" not in keys:
        return {}
    return {name: field.text() for name, field in keys["dimensions"].entries(characters_most=64).items()}


def _decimal(field: Field) -> Decimal:
    return field.decimal(**_DIGITS) or Decimal()
