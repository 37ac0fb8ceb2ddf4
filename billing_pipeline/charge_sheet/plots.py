"""Plots of amount over quantity, as SVG: the same bytes for the same prices, legible on light and on dark."""

from collections.abc import Iterator
from decimal import Decimal
from io import StringIO
from itertools import pairwise
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from matplotlib.typing import RcKeyType

from billing_pipeline.charge_sheet.models import Curve, ModelSheet

_JUST_ABOVE = Decimal("0.000001")
_JUMP_LEAST = 0.005
"""Half a cent: what is less cannot be seen."""
_BOUNDS_LABELLED_MOST = 4
_SIZE_INCHES = (6.4, 3.2)
_INK = "#7d8794"
"""A grey whose contrast on white and on nearly black is about the same."""
_COLOURS = ("#2f81f7", "#e0752d")
_STYLE: dict[RcKeyType, Any] = {
    "svg.hashsalt": "charge-models",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.facecolor": "none",
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def figure_of(sheet: ModelSheet) -> Figure:
    """Amount over quantity; where the amount jumps, a full dot is what the bound itself costs."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
        axes = figure.subplots()
        for curve, colour in zip(sheet.curves, _COLOURS, strict=False):
            _draw(axes, sheet, curve, colour)
        axes.set_xlabel(sheet.unit)
        axes.set_ylabel(f"amount, {sheet.currency.upper()}")
        axes.set_xlim(0, float(sheet.to))
        axes.set_ylim(bottom=0)
        axes.margins(y=0.1)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        axes.grid(color=_INK, alpha=0.2, linewidth=0.6)
        if len(sheet.curves) > 1:
            axes.legend(frameon=False, loc="upper left")
    return figure


def svg_of(figure: Figure) -> str:
    """The figure as SVG text, without a date."""
    text = StringIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def _draw(axes: Axes, sheet: ModelSheet, curve: Curve, colour: str) -> None:
    label = curve.label
    for bound in curve.bounds:
        axes.axvline(float(bound), color=_INK, linewidth=0.8, linestyle=(0, (2, 3)), zorder=1)
        if len(curve.bounds) <= _BOUNDS_LABELLED_MOST:
            across = axes.get_xaxis_transform()
            axes.text(float(bound), 1.01, f"{bound:,f}", transform=across, ha="center", fontsize=8.5)
    for (start, start_amount), (end, end_amount) in pieces(sheet, curve):
        axes.plot(
            [start, end],
            [start_amount, end_amount],
            color=colour,
            linewidth=2,
            solid_capstyle="butt",
            label=label,
        )
        label = "_"
    for at, before, after in jumps(sheet, curve):
        axes.plot([at, at], [before, after], color=colour, linewidth=0.8, linestyle=":")
        for amount, fill in ((before, "full"), (after, "none")):
            axes.plot(at, amount, "o", color=colour, markersize=4.5, fillstyle=fill, clip_on=False, zorder=3)


def jumps(sheet: ModelSheet, curve: Curve) -> Iterator[tuple[float, float, float]]:
    """Where a line jumps, from which amount to which; at 0 from what no usage costs."""
    before = None if sheet.event_dimension else _point(sheet, curve, Decimal())[1]
    for (start, start_amount), (_, end_amount) in pieces(sheet, curve):
        if before is not None and abs(before - start_amount) > _JUMP_LEAST:
            yield start, before, start_amount
        before = end_amount


def pieces(sheet: ModelSheet, curve: Curve) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    """The start and the end of each piece of a line; between bounds every model is straight."""
    for low, high in pairwise([Decimal(), *curve.bounds, sheet.to]):
        if low < high:
            yield _point(sheet, curve, low + _JUST_ABOVE), _point(sheet, curve, high)


def _point(sheet: ModelSheet, curve: Curve, quantity: Decimal) -> tuple[float, float]:
    return float(quantity), float(sheet.priced(quantity, curve.dimensions, curve.share).amount)
