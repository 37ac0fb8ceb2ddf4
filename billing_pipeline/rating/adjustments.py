"""Books what is new: the rounded whole of each line key, as known now, minus everything booked for it before.

The difference telescopes: whatever comes late or is corrected, in however many invoice periods, the bookings
of a key add up to its right whole. A key whose usage is gone altogether has the new whole 0.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from billing_pipeline.rating.agreement import Agreement
from billing_pipeline.rating.charges import (
    INVOICE_COMPONENTS,
    LineKey,
    MeteredQuantity,
    RatedCharge,
    Unpriced,
)
from billing_pipeline.rating.holdings import Rules
from billing_pipeline.rating.period_lines import Phase
from billing_pipeline.rating.plan_terms.flat_fee import PERIOD
from billing_pipeline.rating.rate import rate_period
from billing_pipeline.rating.rule_book import RuleBooks


class Booked(NamedTuple):
    """What earlier invoice periods booked for a line key."""

    amount_minor: int
    """The sum of all of them."""
    quantity: Decimal
    """The key's whole, as the last of them knew it."""


NOTHING_BOOKED = Booked(0, Decimal())


class Booking(NamedTuple):
    """A line key's whole as known now, beside what earlier invoice periods booked for it."""

    charge: RatedCharge
    before: Booked
    is_new: bool
    """Nothing has been booked for this key before, not even 0."""

    @property
    def due_minor(self) -> int:
        """What this invoice period books; may be negative."""
        return self.charge.amount_minor - self.before.amount_minor


class UsagePeriod(NamedTuple):
    """A usage period that an invoice period rates.

    Attributes:
        start: its name.
        agreement: as known when it was first rated, or by the re-rating that counts.
        quantities: its rows, posted up to the end of the invoice period.
        phase: `in_advance` for the period after the invoice's own, else `final`.
    """

    start: date
    agreement: Agreement
    quantities: Sequence[MeteredQuantity] = ()
    phase: Phase = "final"

    def priced_by(self, rules: Rules) -> Rules:
        """The rules it is priced by: those of the re-rating that counts, if there is one."""
        rerating = self.agreement.rerating_of(self.start)
        return Rules(rules.books, rerating.rules) if rerating and rerating.rules else rules


class InvoiceRating(NamedTuple):
    """All bookings of one customer's invoice period, and what stands in its way."""

    bookings: tuple[Booking, ...]
    unpriced: tuple[Unpriced, ...]


def rate_invoice(
    periods: Iterable[UsagePeriod], booked: Mapping[LineKey, Booked], rules: Rules
) -> InvoiceRating:
    """Rate all usage periods that one customer's invoice period touches.

    Args:
        periods: the invoice period's own, every earlier one that has postings in it or is re-rated, and the next one
            where there are fees in advance.
        booked: per line key what all earlier invoice periods booked. Keys of usage periods that are not touched are
            left alone.
        rules: all rule versions.

    Returns:
        One booking per line key of the touched periods, in key order.
    """
    bookings: list[Booking] = []
    unpriced: list[Unpriced] = []
    for period in periods:
        rated = rate_period(
            period.agreement, period.start, period.quantities, period.priced_by(rules), period.phase
        )
        unpriced += rated.unpriced
        customer_id = period.agreement.customer_id
        mine = {key: before for key, before in booked.items() if _is_of(key, customer_id, period.start)}
        bookings += book(rated.charges, mine, rules.books)
    return InvoiceRating(tuple(sorted(bookings, key=_key)), tuple(unpriced))


def book(charges: Sequence[RatedCharge], booked: Mapping[LineKey, Booked], books: RuleBooks) -> list[Booking]:
    """Set the wholes of one customer's usage period beside what has been booked for it, in key order."""
    bookings = [
        Booking(charge, booked.get(charge.key, NOTHING_BOOKED), is_new=charge.key not in booked)
        for charge in charges
    ]
    gone = booked.keys() - {charge.key for charge in charges}
    bookings += [Booking(_nothing_left(key, books), booked[key], is_new=False) for key in gone]
    return sorted(bookings, key=_key)


def _nothing_left(key: LineKey, books: RuleBooks) -> RatedCharge:
    rule_book = books.get(key.rule_version)
    meter = rule_book.meters.get(key.meter) if rule_book else None
    unit = PERIOD if key.component == "flat_fee" else ""
    zero = Decimal()
    return RatedCharge(key, meter.unit if meter else unit, zero, 0, zero, 0, ())


def _is_of(key: LineKey, customer_id: str, usage_period: date) -> bool:
    return (
        key.customer_id == customer_id
        and key.usage_period == usage_period
        and key.component not in INVOICE_COMPONENTS
    )


def _key(booking: Booking) -> LineKey:
    return booking.charge.key
