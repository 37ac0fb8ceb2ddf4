"""`docs/charge-models.md` and its plots, made anew: `python -m billing_pipeline.charge_sheet.page FOLDER`."""

import sys
from collections.abc import Iterator
from pathlib import Path

from billing_pipeline.charge_sheet.models import ModelSheet, model_sheets, part_text
from billing_pipeline.rating.money import format_minor, grouped, round_minor

PAGE = "charge-models.md"
PLOTS = "charge-models"
HEAD = """# Charge models

How each charge model of a rule book prices a quantity, and what stands around charges. Every amount and every plot on
this page is computed by the code that rates (`make docs`). Quantities are those of one usage period. In a plot a dotted
line marks a bound; where the amount jumps, the full dot is what the bound itself costs.
"""


def sheet_document() -> str:
    """The page, in Markdown."""
    sheets = model_sheets()
    return "\n".join([HEAD, *_contents(sheets), *(line for sheet in sheets for line in _section(sheet))])


def _contents(sheets: tuple[ModelSheet, ...]) -> Iterator[str]:
    yield "| charge model | what it does |"
    yield "|---|---|"
    for sheet in sheets:
        yield f"| [`{sheet.model}`](#{sheet.model}) | {sheet.line} |"
    yield ""


def _section(sheet: ModelSheet) -> Iterator[str]:
    yield f"## `{sheet.model}`"
    yield ""
    yield sheet.line
    yield ""
    yield from _fenced("text", sheet.formula)
    for note in sheet.notes:
        yield f"- {note}"
    if sheet.notes:
        yield ""
    yield "For example:"
    yield ""
    yield from _fenced("yaml", _under("price", sheet.terms))
    yield from _table(sheet)
    yield ""
    yield f"![{sheet.model}: amount over {sheet.unit}]({PLOTS}/{sheet.model}.svg)"
    yield ""


def _table(sheet: ModelSheet) -> Iterator[str]:
    names = sorted({name for _, dimensions in sheet.cases for name in dimensions})
    named = [f"`{name}`" for name in names]
    yield f"| {' | '.join([sheet.unit, *named, 'amount', 'made of'])} |"
    yield f"|{'---:|' * (len(names) + 2)}---|"
    for quantity, dimensions in sheet.cases:
        priced = sheet.priced(quantity, dimensions)
        amount = format_minor(round_minor(priced.amount, sheet.currency), sheet.currency)
        made_of = "; ".join(part_text(part) for part in priced.parts)
        cells = [grouped(quantity), *(dimensions.get(name, "") for name in names), amount, made_of]
        yield f"| {' | '.join(cells)} |"


def _under(name: str, terms: str) -> str:
    if terms.startswith("{"):
        return f"{name}: {terms}"
    return "\n".join([f"{name}:", *(f"  {line}" for line in terms.splitlines())])


def _fenced(language: str, text: str) -> Iterator[str]:
    yield f"```{language}"
    yield text.rstrip()
    yield "```"
    yield ""


def main(folder: Path) -> None:
    """Write the page and its plots into a folder; plots of models that are no more are removed."""
    from billing_pipeline.charge_sheet.plots import figure_of, svg_of

    (folder / PAGE).write_text(sheet_document(), "utf-8")
    plots = folder / PLOTS
    plots.mkdir(exist_ok=True)
    drawn = {plots / f"{sheet.model}.svg": figure_of(sheet) for sheet in model_sheets()}
    for path, figure in drawn.items():
        path.write_text(svg_of(figure), "utf-8")
    for path in set(plots.glob("*.svg")) - set(drawn):
        path.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
