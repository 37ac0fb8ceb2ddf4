"""Draws what stands out of a day as PNG, with matplotlib, the extra `plots`. Without it nothing is drawn."""

import base64
from collections.abc import Sequence
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING

from billing_pipeline.guardrails.anomalies.shown import Anomaly

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DRAWN_MOST = 6
_INK = "#7d8794"
_WIDTH_INCHES, _HEIGHT_INCHES = 7.0, 1.7
_COLOURS = {"high": "#c0392b", "low": "#d68910"}


def plotted(anomalies: Sequence[Anomaly]) -> str | None:
    """The first six, each with its weeks before, as PNG in base64; None where nothing is drawn."""
    if not anomalies or find_spec("matplotlib") is None:
        return None
    from matplotlib.figure import Figure

    drawn = anomalies[:DRAWN_MOST]
    figure = Figure(figsize=(_WIDTH_INCHES, _HEIGHT_INCHES * len(drawn)), layout="constrained")
    for axes, anomaly in zip(figure.subplots(len(drawn), 1, squeeze=False)[:, 0], drawn, strict=True):
        _draw(axes, anomaly)
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=100, metadata={"Software": None})
    return base64.b64encode(picture.getvalue()).decode("ascii")


def _draw(axes: "Axes", anomaly: Anomaly) -> None:
    # A place on paper, no quantity: here alone do quantities become floats.
    days = [point.day for point in anomaly.series]
    places = list(range(len(days)))
    axes.bar(places[:-1], [float(point.actual) for point in anomaly.series[:-1]], color=_INK)
    axes.bar(places[-1:], [float(anomaly.actual)], color=_COLOURS.get(anomaly.severity, _INK))
    expected = [
        (at, float(point.expected)) for at, point in enumerate(anomaly.series) if point.expected is not None
    ]
    axes.plot([at for at, _ in expected], [amount for _, amount in expected], color="black", linewidth=1)
    axes.axhline(float(anomaly.threshold), color=_INK, linewidth=0.8, linestyle="--")
    axes.set_title(
        f"{anomaly.customer_id}/{anomaly.project_id} {anomaly.meter}, {anomaly.severity}",
        fontsize=8,
        loc="left",
    )
    axes.set_xticks(places[::7], [f"{day:%d %b}" for day in days[::7]], fontsize=7)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
