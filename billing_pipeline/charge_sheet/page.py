"""`docs/charge-models.md` and its plots, made anew: `python -m billing_pipeline.charge_sheet.page FOLDER`."""

import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

from billing_pipeline.charge_sheet.around import AroundSheet, around_sheets
from billing_pipeline.charge_sheet.differences import DIFFERENCES
from billing_pipeline.charge_sheet.models import ModelSheet, model_sheets, part_text
from billing_pipeline.rating.charges import Component
from billing_pipeline.rating.money import format_minor, grouped, round_minor

PAGE = "charge-models.md"
PLOTS = "charge-models"
_WIDTH = 118
HEAD = """# Charge models

How each charge model of a rule book prices a quantity, and what stands around charges. Every amount and every plot on
this page is computed by the code that rates (`make docs`). Quantities are those of one usage period. In a plot a dotted
line marks a bound; where the amount jumps, the full dot is what the bound itself costs.
"""


def sheet_document() -> str:
    """The page, in Markdown."""
    sheets, around = model_sheets(), around_sheets()
    lines = [HEAD, *_contents(sheets, around)]
    lines += [line for sheet in sheets for line in _section(sheet)]
    lines += [line for sheet in around for line in _around(sheet)]
    return "\n".join([*lines, DIFFERENCES])


def _contents(sheets: Sequence[ModelSheet], around: Sequence[AroundSheet]) -> Iterator[str]:
    yield "| charge model | what it does |"
    yield "|---|---|"
    for sheet in sheets:
        yield f"| [`{sheet.model}`](#{sheet.model}) | {sheet.line} |"
    yield ""
    yield "| around charges | what it does |"
    yield "|---|---|"
    for each in around:
        yield f"| [{each.name}](#{_anchor(each.name)}) | {each.line} |"
    yield ""


def _section(sheet: ModelSheet) -> Iterator[str]:
    yield f"## `{sheet.model}`"
    yield ""
    yield from _head(sheet)
    yield from _table(sheet)
    yield ""
    yield f"![{sheet.model}: amount over {sheet.unit}]({PLOTS}/{sheet.model}.svg)"
    yield ""


def _head(sheet: ModelSheet | AroundSheet) -> Iterator[str]:
    yield sheet.line
    yield ""
    yield from _fenced("text", sheet.formula)
    for note in sheet.notes:
        yield textwrap.fill(note, _WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
    if sheet.notes:
        yield ""
    yield "For example:"
    yield ""
    yield from _fenced("yaml", sheet.terms)


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


def _around(sheet: AroundSheet) -> Iterator[str]:
    yield f"## {sheet.name}"
    yield ""
    yield from _head(sheet)
    components = get_args(Component)
    columns = sorted(
        {name for case in sheet.cases for name in case.lines},
        key=lambda name: (components.index(name[0]), sheet.order.index(name[1])),
    )
    named = [component.replace("_", " ") + (f" `{term}`" if term else "") for component, term in columns]
    yield f"| {' | '.join(['', *named, 'total'])} |"
    yield f"|---|{'---:|' * (len(columns) + 1)}"
    for case in sheet.cases:
        amounts = [case.lines.get(name) for name in columns]
        cells = ["" if minor is None else format_minor(minor, sheet.currency) for minor in amounts]
        total = format_minor(sum(case.lines.values()), sheet.currency)
        yield f"| {' | '.join([case.text, *cells, total])} |"
    yield ""


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


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
