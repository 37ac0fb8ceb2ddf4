"""What acts on an invoice as a whole, after its adjustments: once-only coupons, then prepaid credit grants.

Both take off, and never more than is due: a credit never makes an invoice negative, and never goes below zero itself.
Their lines belong to the invoice that applied them; they are not rated again. Where adjustments make an invoice
negative, the credits that paid the corrected periods are given back first (`plan_terms.credit_back`); money is for the
rest.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import product

from billing_pipeline.rating.adjustments import NOTHING_BOOKED, Booked, Booking
from billing_pipeline.rating.agreement import Agreement
from billing_pipeline.rating.charge_models.price import Part
from billing_pipeline.rating.charges import Component, LineKey, RatedCharge
from billing_pipeline.rating.money import format_minor, minor_exponent, negated, round_minor
from billing_pipeline.rating.period_lines import NO_DIMENSIONS
from billing_pipeline.rating.periods import period_name
from billing_pipeline.rating.plan_terms.credit import Due, draw, in_order
from billing_pipeline.rating.plan_terms.credit_back import Decreases
from billing_pipeline.rating.plan_terms.discount import off_text, taken_off
from billing_pipeline.rating.rule_book import RuleBooks

_ZERO = Decimal()


def invoice_terms(
    bookings: Iterable[Booking],
    booked: Mapping[LineKey, Booked],
    agreement: Agreement,
    books: RuleBooks,
    invoice_period: tuple[date, date],
) -> list[Booking]:
    """The bookings of once-only coupons and credits of one customer's invoice period, by currency.

    Credits that are given back are booked under the keys of the invoices that drew them.

    Args:
        bookings: everything else that the invoice books.
        booked: what earlier invoices booked, also of coupons and credits.
        agreement: as known at the end of the invoice period.
        books: all rule versions.
        invoice_period: its first and last day.
    """
    due: dict[str, Due] = {}
    less: dict[str, Decreases] = {}
    for booking in bookings:
        key = booking.charge.key
        due.setdefault(key.currency, Due()).add(key.charge, booking.due_minor)
        if key.usage_period < invoice_period[0]:
            less.setdefault(key.currency, Decreases()).add(key, booking.due_minor)
    invoice = _Invoice(agreement, books, invoice_period, booked)
    made: list[Booking] = []
    for currency in sorted(due):
        made += invoice.coupons(currency, due[currency])
        made += invoice.credits(currency, due[currency])
        if currency in less and due[currency].total_minor < 0:
            made += invoice.given_back(currency, less[currency], -due[currency].total_minor)
    return made


class _Invoice:
    def __init__(
        self,
        agreement: Agreement,
        books: RuleBooks,
        period: tuple[date, date],
        booked: Mapping[LineKey, Booked],
    ) -> None:
        self._agreement = agreement
        self._books = books
        self._start, self._end = period
        self._used: dict[tuple[Component, str], int] = {}
        self._drawn: dict[LineKey, Booked] = {}
        for key, before in booked.items():
            if key.customer_id == agreement.customer_id and key.component in {"invoice_coupon", "credit"}:
                term = (key.component, key.term)
                self._used[term] = self._used.get(term, 0) - before.amount_minor
                if key.component == "credit":
                    self._drawn[key] = before

    def coupons(self, currency: str, due: Due) -> list[Booking]:
        """Once-only coupons that have not been used up, in the order of their redemption."""
        made: list[Booking] = []
        for redemption in self._agreement.redemptions:
            book = self._books.in_force_on(redemption.start)
            coupon = book.coupons.get(redemption.coupon) if book else None
            if book is None or coupon is None or not coupon.once or redemption.start > self._end:
                continue
            if coupon.currency not in {"", currency} or self._used.get(("invoice_coupon", coupon.name)):
                continue
            base = due.within(coupon.applies_to)
            off = taken_off(coupon.percent, coupon.amount, base, currency)
            minor = round_minor(off, currency)
            if minor:
                due.take(coupon.applies_to, minor)
                text = off_text(coupon.percent, coupon.amount)
                tier = f"{text} off {format_minor(base, currency)}"
                part = Part(tier, _ZERO, text, _ZERO, negated(off))
                key = self._key(currency, "invoice_coupon", coupon.name, book.version, coupon.applies_to)
                made.append(_booking(key, negated(off), part))
        return made

    def credits(self, currency: str, due: Due) -> list[Booking]:
        """Credit grants in force at the end of the invoice period: what each of them pays."""
        book = self._books.in_force_on(self._start) or next(iter(self._books))
        made: list[Booking] = []
        for grant in in_order(self._agreement.grants, currency, self._end):
            left = round_minor(grant.amount, currency) - self._used.get(("credit", grant.grant_id), 0)
            drawn = draw(due, grant.charges, left)
            if drawn:
                amount = Decimal(-drawn).scaleb(-minor_exponent(currency))
                after = format_minor(left - drawn, currency)
                part = Part(f"of {format_minor(left, currency)}, {after} left", _ZERO, "", _ZERO, amount)
                key = self._key(currency, "credit", grant.grant_id, book.version, grant.charges)
                made.append(_booking(key, amount, part))
        return made

    def given_back(self, currency: str, less: Decreases, most_minor: int) -> list[Booking]:
        """What grants in force get back of what they paid for corrected periods, in all at most `most_minor`.

        The period corrected last comes first, and of one the grant drawn last.
        """
        grants = in_order(self._agreement.grants, currency, self._end)[::-1]
        made: list[Booking] = []
        left = most_minor
        for period, grant in product(less.periods, grants):
            for key, before in sorted(self._drawn.items()):
                if (key.usage_period, key.currency, key.term) != (period, currency, grant.grant_id):
                    continue
                back = less.draw(period, grant.charges, min(left, -before.amount_minor))
                if back:
                    left -= back
                    made.append(_less_drawn(key, before, back))
        return made

    def _key(
        self, currency: str, component: Component, term: str, version: str, charges: frozenset[str]
    ) -> LineKey:
        charge = next(iter(charges)) if len(charges) == 1 else ""
        return LineKey(
            *(self._agreement.customer_id, "", self._start, "", charge, "", NO_DIMENSIONS),
            *(version, currency, component, term),
        )


def _less_drawn(key: LineKey, before: Booked, back_minor: int) -> Booking:
    amount = Decimal(before.amount_minor + back_minor).scaleb(-minor_exponent(key.currency))
    back, drawn = format_minor(back_minor, key.currency), format_minor(-before.amount_minor, key.currency)
    part = Part(
        f"{back} of the {drawn} drawn for {period_name(key.usage_period)} given back",
        _ZERO,
        "",
        _ZERO,
        amount,
    )
    charge = RatedCharge(key, "", _ZERO, 0, amount, round_minor(amount, key.currency), (part,))
    return Booking(charge, before, is_new=False)


def _booking(key: LineKey, amount: Decimal | Fraction, part: Part) -> Booking:
    charge = RatedCharge(key, "", _ZERO, 0, amount, round_minor(amount, key.currency), (part,))
    return Booking(charge, NOTHING_BOOKED, is_new=True)
