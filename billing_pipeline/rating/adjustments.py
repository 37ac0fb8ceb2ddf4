"""Books what is new: the rounded whole of each line key, as known now, minus everything booked for it before.

The difference telescopes: whatever comes late or is corrected, in however many invoice periods, the bookings
of a key add up to its right whole. A key whose usage is gone altogether has the new whole 0.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from billing_pipeline.rating.charges import LineKey, MeteredQuantity, RatedCharge, Unpriced
from billing_pipeline.rating.rate import PlanInForce, rate_period
from billing_pipeline.rating.rule_book import RuleBooks


class Booking(NamedTuple):
    """A line key's whole as known now, beside what earlier invoice periods booked for it."""

    charge: RatedCharge
    booked_before_minor: int
    is_new: bool
    """Nothing has been booked for this key before, not even 0."""

    @property
    def due_minor(self) -> int:
        """What this invoice period books; may be negative."""
        return self.charge.amount_minor - self.booked_before_minor


class InvoiceRating(NamedTuple):
    """All bookings of one customer's invoice period, and what stands in its way."""

    bookings: tuple[Booking, ...]
    unpriced: tuple[Unpriced, ...]


def rate_invoice(
    customer_id: str,
    quantities: Mapping[date, Sequence[MeteredQuantity]],
    booked: Mapping[LineKey, int],
    books: RuleBooks,
    plan_in_force: PlanInForce,
) -> InvoiceRating:
    """Rate all usage periods that an invoice period touches.

    Args:
        customer_id: whose invoice it is.
        quantities: by usage period (its start): the invoice period's own, and every earlier one that has
            postings in it; each with all rows posted up to the end of the invoice period.
        booked: per line key the sum (minor units) over all earlier invoice periods. Keys of usage periods
            that are not touched are left alone.
        books: all rule versions.
        plan_in_force: the customer's plan on a usage day.

    Returns:
        One booking per line key of the touched periods, in key order.
    """
    bookings: list[Booking] = []
    unpriced: list[Unpriced] = []
    for usage_period in sorted(quantities):
        rated = rate_period(customer_id, usage_period, quantities[usage_period], books, plan_in_force)
        unpriced += rated.unpriced
        mine = {key: minor for key, minor in booked.items() if _is_of(key, customer_id, usage_period)}
        bookings += book(rated.charges, mine, books)
    return InvoiceRating(tuple(sorted(bookings, key=_key)), tuple(unpriced))


def book(charges: Sequence[RatedCharge], booked: Mapping[LineKey, int], books: RuleBooks) -> list[Booking]:
    """Set the wholes of one customer's usage period beside what has been booked for it, in key order."""
    bookings = [
        Booking(charge, booked.get(charge.key, 0), is_new=charge.key not in booked) for charge in charges
    ]
    gone = booked.keys() - {charge.key for charge in charges}
    bookings += [Booking(_nothing_left(key, books), booked[key], is_new=False) for key in gone]
    return sorted(bookings, key=_key)


def _nothing_left(key: LineKey, books: RuleBooks) -> RatedCharge:
    rule_book = books.get(key.rule_version)
    meter = rule_book.meters.get(key.meter) if rule_book else None
    zero = Decimal()
    return RatedCharge(key, meter.unit if meter else "", zero, 0, zero, 0, ())


def _is_of(key: LineKey, customer_id: str, usage_period: date) -> bool:
    return key.customer_id == customer_id and key.usage_period == usage_period


def _key(booking: Booking) -> LineKey:
    return booking.charge.key
