"""Draws how a draft rule book would change customers' bills. Needs the extra `plots`."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from billing_pipeline.errors import SimulationError
from billing_pipeline.terminal.simulate_report import Change

NAMED_MOST = 30
"""Customers; more names than that cannot be read."""


def write_plot(path: Path, draft: str, month: date, changes: Sequence[Change]) -> None:
    """Write an SVG: each customer's change in percent, ordered, the losers on the right.

    Raises:
        SimulationError: matplotlib is not installed, or the file cannot be written.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SimulationError(
            "--plot needs matplotlib; install it with: uv pip install 'billing-pipeline[plots]'"
        ) from error
    known = sorted((float(change.percent), change.name) for change in changes if change.percent is not None)
    with mpl.rc_context({"svg.hashsalt": "simulate", "svg.fonttype": "none"}):
        figure = Figure(figsize=(8, 4), layout="constrained")
        axes = figure.subplots()
        heights = [percent for percent, _ in known]
        colours = ["#d1493f" if height > 0 else "#2f8f4e" if height < 0 else "#7d8794" for height in heights]
        axes.bar(range(len(known)), heights, color=colours)
        if len(known) <= NAMED_MOST:
            axes.set_xticks(range(len(known)), [name for _, name in known], rotation=45, ha="right")
        else:
            axes.set_xlabel(f"{len(known)} customers, by their change")
        axes.axhline(0, color="#7d8794", linewidth=0.8)
        axes.set_ylabel("change of the bill, %")
        axes.set_title(f"{month:%Y-%m} under the draft {draft}")
        try:
            figure.savefig(path, format="svg", metadata={"Date": None})
        except OSError as error:
            raise SimulationError(
                f"{path} cannot be written ({error.strerror}); give another file"
            ) from error
