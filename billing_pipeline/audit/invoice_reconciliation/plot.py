"""Draws charges, invoice lines and Stripe beside each other as PNG, with matplotlib, the extra `plots`."""

import base64
from collections.abc import Sequence
from decimal import Decimal
from importlib.util import find_spec
from io import BytesIO

from billing_pipeline.audit.invoice_reconciliation.shown import Totals
from billing_pipeline.rating.money import EXACT, minor_exponent

DRAWN_MOST = 12
_COLOURS = (("charges", "#7d8794"), ("lines", "#34495e"), ("Stripe", "#635bff"))
_WIDTH_INCHES, _HEIGHT_INCHES = 7.0, 0.55
_BAR = 0.27


def plotted(found: Sequence[Totals]) -> str | None:
    """The largest differences first, then the largest invoices, as PNG in base64; None where nothing is drawn."""
    shown = [each for each in found if each.currency]
    if not shown or find_spec("matplotlib") is None:
        return None
    from matplotlib.figure import Figure

    shown.sort(key=lambda each: (not each.needs_someone, -abs(each.difference), -abs(each.billed)))
    drawn = shown[:DRAWN_MOST][::-1]
    figure = Figure(figsize=(_WIDTH_INCHES, 1.0 + _HEIGHT_INCHES * len(drawn)), layout="constrained")
    axes = figure.subplots()
    for place, (name, colour) in enumerate(_COLOURS):
        # A place on paper, no amount: here alone do amounts become floats.
        lengths = [float(_major(each, place)) for each in drawn]
        heights = [at + (1 - place) * _BAR for at in range(len(drawn))]
        axes.barh(heights, lengths, height=_BAR, color=colour, label=name)
    names = [f"{each.customer_id} {each.currency}{' !' if each.needs_someone else ''}" for each in drawn]
    axes.set_yticks(range(len(drawn)), names, fontsize=7)
    axes.tick_params(axis="x", labelsize=7)
    axes.legend(fontsize=7, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=100, metadata={"Software": None})
    return base64.b64encode(picture.getvalue()).decode("ascii")


def _major(each: Totals, place: int) -> Decimal:
    amount = (each.charged, each.billed, each.in_stripe)[place]
    return EXACT.scaleb(amount, -minor_exponent(each.currency))
