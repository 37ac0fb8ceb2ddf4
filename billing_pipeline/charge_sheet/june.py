"""What a customer's June comes to: the cases of `around.yaml`, rated."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from billing_pipeline.rating.adjustments import NOTHING_BOOKED, Booking
from billing_pipeline.rating.agreement import Agreement
from billing_pipeline.rating.charges import Component, LineKey, MeteredQuantity, RatedCharge
from billing_pipeline.rating.holdings import Rules
from billing_pipeline.rating.invoice_terms import invoice_terms
from billing_pipeline.rating.money import round_minor
from billing_pipeline.rating.rate import rate_period
from billing_pipeline.rating.rule_book import RuleBook, RuleBooks

JUNE = (date(2026, 6, 1), date(2026, 6, 30))
CURRENCY = "usd"


def rated_period(
    used: Mapping[date, Decimal], agreement: Agreement, book: RuleBook
) -> tuple[RatedCharge, ...]:
    """The lines of a period in which the book's only meter counted this, by day."""
    (meter,) = book.meters.values()
    rows = [
        MeteredQuantity(
            *(agreement.customer_id, "project", meter.name, meter.unit, "{}", day, book.version, quantity, 1)
        )
        for day, quantity in used.items()
    ]
    rated = rate_period(agreement, JUNE[0], rows, Rules(RuleBooks((book,))))
    assert not rated.unpriced, "a case of around.yaml has no price"  # noqa: S101 - a bug of the page
    return rated.charges


def invoiced(due: Mapping[str, Decimal], agreement: Agreement, book: RuleBook) -> tuple[RatedCharge, ...]:
    """The lines of an invoice with these amounts by charge or fee, and what acts on the invoice as a whole."""
    customer_id = agreement.customer_id
    bookings = [
        _booking(customer_id, name, amount, "usage" if name in book.meters else "flat_fee")
        for name, amount in due.items()
    ]
    made = invoice_terms(bookings, {}, agreement, RuleBooks((book,)), JUNE)
    return tuple(booking.charge for booking in [*bookings, *made])


def _booking(customer_id: str, charge: str, amount: Decimal, component: Component) -> Booking:
    key = LineKey(customer_id, "project", JUNE[0], "", charge, "", "{}", "", CURRENCY, component)
    rated = RatedCharge(key, "", Decimal(), 0, amount, round_minor(amount, CURRENCY), ())
    return Booking(rated, NOTHING_BOOKED, is_new=True)
