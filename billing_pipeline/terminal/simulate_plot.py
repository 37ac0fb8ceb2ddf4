"""The distribution of changes in percent as SVG. Drawn with matplotlib, the extra `plots`."""

from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from billing_pipeline.audit.simulated import Simulation
from billing_pipeline.errors import SimulationRefusedError
from billing_pipeline.rating.periods import period_name

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

_INK = "#7d8794"
_STYLE: "dict[RcKeyType, Any]" = {
    "svg.hashsalt": "simulate",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.facecolor": "none",
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_SIZE_INCHES = (7.0, 3.6)
_BINS = 40


def check_installed() -> None:
    """Look for matplotlib.

    Raises:
        SimulationRefusedError: it is not installed.
    """
    if find_spec("matplotlib") is None:
        raise SimulationRefusedError(
            "the package matplotlib, which draws the plot, is not installed; install it with `uv sync --extra plots`, "
            "or with `pip install 'billing-pipeline[plots]'`"
        )


def write_plot(found: Simulation, path: Path) -> None:
    """Draw how many customers change by how much, stacked by currency; those without a percentage are left out.

    Raises:
        SimulationRefusedError: the file cannot be written.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    changes: dict[str, list[float]] = {}
    for _, currency, amounts in found.compared:
        if amounts.percent is not None:
            changes.setdefault(currency, []).append(float(amounts.percent))  # a place on paper, no money
    text = StringIO()
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
        axes = figure.subplots()
        if changes:
            axes.hist(
                list(changes.values()), bins=_BINS, stacked=True, label=[each.upper() for each in changes]
            )
            axes.legend(frameon=False)
        axes.axvline(0, color=_INK, linewidth=0.8, linestyle="--")
        axes.set_title(f"{period_name(found.month)} under {found.version}")
        axes.set_xlabel("change in percent of what was billed")
        axes.set_ylabel("customers")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    try:
        path.write_text(text.getvalue(), "utf-8")
    except OSError as error:
        raise SimulationRefusedError(f"{path} cannot be written: {error.strerror}") from error
