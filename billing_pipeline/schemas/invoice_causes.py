"""Why two of the figures that an invoice goes through may differ: the words of `reconciliation_report`."""

from typing import Literal, NamedTuple

Status = Literal["equal", "explained", "person", "unexplained"]
STATUSES: tuple[Status, ...] = ("equal", "explained", "person", "unexplained")
COMPARISONS = ("events_rollups", "rollups_charges", "charges_lines", "lines_stripe", "meter_events_stripe")
"""In the order of an amount's way."""


class Cause(NamedTuple):
    """Why two figures differ.

    Attributes:
        meaning: in words.
        action: what is to be done about it; "" where nothing is.
        status: `explained` where it goes away by itself or is as it should be, `person` where somebody must act.
    """

    meaning: str
    action: str = ""
    status: Status = "explained"


_RUN = "run `billing period close` again"
_LOOK = "ask who did it and why; book what is right as an adjustment of the next period"
CAUSES = {
    "unmetered": Cause(
        "billable usage that no meter of its rule version takes",
        "add a meter that takes it; until then the customer's invoice is held back",
    ),
    "not_charged": Cause("the plan leaves the meter free"),
    "trial": Cause("the usage lies in a free trial and costs nothing"),
    "several_charges": Cause("several charges take the same usage: the plan's and an add-on's"),
    "no_amount": Cause("usage posted later moves no minor unit of its line, so no invoice has a line for it"),
    "blocked": Cause("the invoice is held back", "mend what the message names"),
    "not_pushed": Cause("the invoice has not been sent to Stripe yet", _RUN),
    "draft": Cause("the invoice stands as a draft in Stripe and is not final yet", _RUN),
    "held": Cause("the invoice waits as a verified draft", "approve it, or decide the review"),
    "failed": Cause("Stripe failed or could not be reached", _RUN),
    "refused": Cause("Stripe or the plan refused the invoice", "mend what the message names", "person"),
    "zero_invoice": Cause("an invoice of zero, which the plan's policy does not send"),
    "metered": Cause("Stripe is told of the usage by meter events and prices it"),
    "credit_note": Cause("credited on the final invoice that it corrects"),
    "uncollectible": Cause("marked uncollectible in Stripe; the invoice stands as it was sent"),
    "foreign_invoice": Cause("an invoice of the customer in Stripe that this pipeline did not make"),
    "voided_in_stripe": Cause("voided in Stripe by hand", _LOOK, "person"),
    "edited_in_stripe": Cause("lines or total in Stripe are not those that were sent", _LOOK, "person"),
    "deleted_in_stripe": Cause("gone from Stripe though it was final", _LOOK, "person"),
    "duplicate_in_stripe": Cause(
        "a second invoice in Stripe for the same customer and period", "void all but the one named", "person"
    ),
    "credit_note_by_hand": Cause("a credit note that this pipeline did not make", _LOOK, "person"),
    "lag": Cause("Stripe's summary has not taken in the events yet", "reconcile again in an hour"),
    "not_sent": Cause("meter events that wait to be sent", "run `billing close` again"),
    "fraction": Cause("Stripe takes whole numbers; the rest of the period's usage is below one"),
    "expired": Cause(
        "older than what Stripe takes as a meter event", "bill it as an adjustment by hand", "person"
    ),
    "error_report": Cause("Stripe took the event and reported an error for it", "mend and send", "person"),
    "cancelled": Cause("the event was cancelled in Stripe"),
    "unexplained": Cause("none of these: a fault", "see docs/reconciliation.md, Unexplained", "unexplained"),
}
"""Every cause with its meaning, in the order in which they are shown."""
