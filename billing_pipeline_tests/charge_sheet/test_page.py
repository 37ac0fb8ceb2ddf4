"""The sheet in `docs/` is what the generator makes, and says something of every charge model."""

from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from billing_pipeline.charge_sheet.models import ModelSheet, model_sheets
from billing_pipeline.charge_sheet.page import PAGE, PLOTS, sheet_document
from billing_pipeline.charge_sheet.plots import figure_of, jumps, pieces, svg_of
from billing_pipeline.rating.charge_models.by_name import CHARGE_MODELS
from billing_pipeline_tests.rating.worked_example import differences

DOCS = Path(__file__).resolve().parents[2] / "docs"
SHEETS = model_sheets()
NAMES = [sheet.model for sheet in SHEETS]
STEPS = ("package", "capacity")


def of(model: str) -> ModelSheet:
    return next(sheet for sheet in SHEETS if sheet.model == model)


def test_the_sheet_is_up_to_date() -> None:
    """`docs/charge-models.md` is what the charge models say."""
    assert (DOCS / PAGE).read_text("utf-8") == sheet_document(), "run: make docs"


def test_every_charge_model_has_a_section() -> None:
    """Each model that a rule book may name, once."""
    assert sorted(NAMES) == sorted(CHARGE_MODELS)


def test_there_is_a_plot_of_every_model_and_no_other() -> None:
    """A well-formed SVG each, without a date."""
    plots = {path.stem: path.read_text("utf-8") for path in (DOCS / PLOTS).glob("*.svg")}
    assert sorted(plots) == sorted(NAMES), "run: make docs"
    for text in plots.values():
        assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - our own file
        assert "<dc:date>" not in text


def test_a_plot_is_the_same_each_time() -> None:
    """No random ids: a plot changes only when its prices do."""
    assert svg_of(figure_of(of("capacity"))) == svg_of(figure_of(of("capacity")))


@pytest.mark.parametrize("model", STEPS)
def test_steps_are_drawn_as_steps(model: str) -> None:
    """Between two bounds the line is level; the end of a step is the bound itself."""
    sheet = of(model)
    (curve,) = sheet.curves
    drawn = list(pieces(sheet, curve))
    assert all(start[1] == end[1] for start, end in drawn)
    assert [end[0] for _, end in drawn] == [*map(float, curve.bounds), float(sheet.to)]


def test_jumps_are_marked_also_from_what_no_usage_costs() -> None:
    """Nothing costs nothing, the first seat its whole step; one event's amount of 0 is not no usage."""
    (curve,) = of("capacity").curves
    found = [(round(at, 4), before, after) for at, before, after in jumps(of("capacity"), curve)]
    assert found == [(0, 0, 50), (10, 50, 200), (50, 200, 300), (100, 300, 400)]
    (curve,) = of("percentage").curves
    assert not list(jumps(of("percentage"), curve))


@pytest.mark.parametrize("sheet", SHEETS, ids=NAMES)
def test_a_plot_is_straight_between_its_bounds(sheet: ModelSheet) -> None:
    """So that drawing only the ends leaves nothing out."""
    for curve in sheet.curves:
        for (low, at_low), (high, at_high) in pieces(sheet, curve):
            middle = (Decimal(str(low)) + Decimal(str(high))) / 2
            amount = sheet.priced(middle, curve.dimensions, curve.share).amount
            assert float(amount) == pytest.approx((at_low + at_high) / 2, rel=1e-6, abs=1e-6)


def test_the_sheet_says_where_other_products_differ() -> None:
    """Every published example that is left out has its reason there."""
    text = " ".join(sheet_document().split())
    for page, what in differences():
        assert " ".join(what.split()) in text, f"{page.title}: {what}"
