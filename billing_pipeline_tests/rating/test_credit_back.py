"""Credits that paid a period come back when the period turns out to have cost less; money is for the rest."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.rating.adjustments import NOTHING_BOOKED, Booked, Booking
from billing_pipeline.rating.agreement import Agreement, CreditGrant
from billing_pipeline.rating.charges import LineKey, RatedCharge
from billing_pipeline.rating.invoice_terms import invoice_terms
from billing_pipeline.rating.periods import period_end
from billing_pipeline.rating.rule_book import Plan, RuleBook, RuleBooks

OCTOBER, NOVEMBER, DECEMBER = date(2026, 10, 1), date(2026, 11, 1), date(2026, 12, 1)
BOOKS = RuleBooks(
    (
        RuleBook(
            version="1",
            effective_from=datetime(2020, 1, 1, tzinfo=UTC),
            content_hash="0" * 64,
            units=frozenset(),
            meters={},
            plans={"pro": Plan("pro", "usd", ())},
        ),
    )
)
_Amounts = Mapping[tuple[date, str], int]
"""By usage period and charge, minor units."""


def _grant(
    grant_id: str, amount: int, *charges: str, priority: int = 0, expires: date | None = None
) -> CreditGrant:
    return CreditGrant(
        grant_id, "usd", Decimal(amount).scaleb(-2), date(2026, 1, 1), priority, expires, frozenset(charges)
    )


class Customer:
    """A customer's invoices one after the other; each books what it is told, and what that makes of credits."""

    def __init__(self, *grants: CreditGrant) -> None:
        self.agreement = Agreement("acme", grants=grants)
        self.booked: dict[LineKey, Booked] = {}

    def invoice(
        self, start: date, amounts: _Amounts, currency: str = "usd"
    ) -> tuple[int, dict[tuple[str, date], int]]:
        """The total, and what the invoice books of credits: by grant and the invoice that drew it."""
        bookings = []
        for (period, charge), due in amounts.items():
            key = LineKey("acme", "p", period, "pro", charge, "usage", "{}", "1", currency)
            before = self.booked.get(key, NOTHING_BOOKED)
            whole = before.amount_minor + due
            charged = RatedCharge(key, "unit", Decimal(1), 1, Decimal(whole), whole, ())
            bookings.append(Booking(charged, before, is_new=before is NOTHING_BOOKED))
        end = period_end(start)
        terms = invoice_terms(bookings, self.booked, self.agreement, BOOKS, (start, end))
        for booking in [*bookings, *terms]:
            self.booked[booking.charge.key] = Booked(booking.charge.amount_minor, Decimal(1))
        total = sum(booking.due_minor for booking in [*bookings, *terms])
        return total, {
            (booking.charge.key.term, booking.charge.key.usage_period): booking.due_minor for booking in terms
        }

    def drawn(self, grant_id: str) -> int:
        return -sum(before.amount_minor for key, before in self.booked.items() if key.term == grant_id)


def test_credit_comes_back_before_money() -> None:
    """100.00 of October were paid by 30.00 of credit; 50.00 less are 30.00 of credit and 20.00 of money."""
    customer = Customer(_grant("hello", 30_00))
    assert customer.invoice(OCTOBER, {(OCTOBER, "calls"): 100_00}) == (70_00, {("hello", OCTOBER): -30_00})
    assert customer.invoice(NOVEMBER, {(OCTOBER, "calls"): -50_00}) == (-20_00, {("hello", OCTOBER): 30_00})
    assert customer.drawn("hello") == 0
    assert customer.invoice(DECEMBER, {(DECEMBER, "calls"): 40_00}) == (10_00, {("hello", DECEMBER): -30_00})


def test_the_line_says_what_came_back_and_is_the_whole_of_what_the_grant_has_paid() -> None:
    customer = Customer(_grant("hello", 30_00))
    customer.invoice(OCTOBER, {(OCTOBER, "calls"): 30_00})
    key = LineKey("acme", "p", OCTOBER, "pro", "calls", "usage", "{}", "1", "usd")
    less = Booking(
        RatedCharge(key, "unit", Decimal(1), 1, Decimal(20), 20_00, ()), customer.booked[key], is_new=False
    )
    (back,) = invoice_terms(
        [less], customer.booked, customer.agreement, BOOKS, (NOVEMBER, date(2026, 11, 30))
    )
    assert (back.charge.amount_minor, back.before.amount_minor, back.due_minor) == (-20_00, -30_00, 10_00)
    assert [part.tier for part in back.charge.parts] == [
        "10.00 USD of the 30.00 USD drawn for 2026-10 given back"
    ]
    assert sum(part.amount for part in back.charge.parts) == back.charge.exact_amount == Decimal(-20)


def test_no_more_comes_back_than_the_invoice_is_below_zero() -> None:
    """What November used itself is offset by the decrease, as it always was."""
    customer = Customer(_grant("hello", 30_00))
    customer.invoice(OCTOBER, {(OCTOBER, "calls"): 100_00})
    found = customer.invoice(NOVEMBER, {(OCTOBER, "calls"): -50_00, (NOVEMBER, "calls"): 45_00})
    assert found == (0, {("hello", OCTOBER): 5_00})


def test_of_several_grants_the_one_drawn_last_comes_back_first() -> None:
    """Month by month: first what paid November, then what paid October; of a month the later of its grants."""
    customer = Customer(_grant("first", 50_00), _grant("second", 100_00, priority=1))
    customer.invoice(OCTOBER, {(OCTOBER, "calls"): 60_00})
    customer.invoice(NOVEMBER, {(NOVEMBER, "calls"): 20_00})
    found = customer.invoice(DECEMBER, {(OCTOBER, "calls"): -25_00, (NOVEMBER, "calls"): -15_00})
    assert found == (
        0,
        {("second", NOVEMBER): 15_00, ("second", OCTOBER): 10_00, ("first", OCTOBER): 15_00},
    )


@pytest.mark.parametrize(
    ("grant", "about"),
    [
        (_grant("hello", 30_00, expires=date(2026, 11, 30)), "it has expired"),
        (_grant("hello", 30_00, "calls"), "it pays for another charge"),
    ],
)
def test_a_grant_that_cannot_pay_any_more_gets_nothing_back(grant: CreditGrant, about: str) -> None:
    """The customer gets money."""
    customer = Customer(grant)
    october = {(OCTOBER, "calls"): 30_00, (OCTOBER, "seats"): 10_00}
    assert customer.invoice(OCTOBER, october) == (10_00, {("hello", OCTOBER): -30_00})
    assert customer.invoice(NOVEMBER, {(OCTOBER, "seats"): -10_00}) == (-10_00, {}), about


def test_a_period_that_was_paid_in_money_gives_money_back() -> None:
    """Whatever credits have paid other months, or other currencies."""
    customer = Customer(_grant("hello", 30_00))
    customer.invoice(OCTOBER, {(OCTOBER, "calls"): 30_00})
    customer.invoice(NOVEMBER, {(NOVEMBER, "calls"): 20_00, (NOVEMBER, "seats"): 5_00})
    assert customer.invoice(DECEMBER, {(NOVEMBER, "calls"): -20_00}) == (-20_00, {})
    assert customer.invoice(date(2027, 1, 1), {(OCTOBER, "other"): -20_00}, "eur") == (-20_00, {})


def test_what_came_back_once_does_not_come_back_again() -> None:
    customer = Customer(_grant("hello", 30_00))
    customer.invoice(OCTOBER, {(OCTOBER, "calls"): 80_00})
    assert customer.invoice(NOVEMBER, {(OCTOBER, "calls"): -20_00}) == (0, {("hello", OCTOBER): 20_00})
    assert customer.invoice(DECEMBER, {(OCTOBER, "calls"): -20_00}) == (-10_00, {("hello", OCTOBER): 10_00})
    assert customer.invoice(date(2027, 1, 1), {(OCTOBER, "calls"): -20_00}) == (-20_00, {})


_MONTHS = [date(2026, month, 1) for month in range(7, 13)]
_INVOICES = st.lists(
    st.dictionaries(
        st.tuples(st.integers(0, 3), st.sampled_from(("calls", "seats"))), st.integers(-60, 90), min_size=1
    ),
    min_size=1,
    max_size=len(_MONTHS),
)
_GRANTS = st.lists(
    st.builds(
        lambda amount, charges, priority, expires: (amount, charges, priority, expires),
        st.integers(0, 100),
        st.sampled_from(((), ("calls",), ("seats",))),
        st.integers(0, 2),
        st.sampled_from((None, *_MONTHS[2:])),
    ),
    max_size=3,
)


@given(_INVOICES, _GRANTS)
def test_credits_are_conserved_over_any_invoices(
    invoices: list[dict[tuple[int, str], int]],
    terms: list[tuple[int, tuple[str, ...], int, date | None]],
) -> None:
    """No grant pays more than it is nor gets back more than it paid; none makes an invoice change its side of zero."""
    grants = [
        _grant(f"g{number}", amount, *charges, priority=priority, expires=expires)
        for number, (amount, charges, priority, expires) in enumerate(terms)
    ]
    customer = Customer(*grants)
    for number, (start, amounts) in enumerate(zip(_MONTHS, invoices, strict=False)):
        due = {
            (_MONTHS[number - back], charge): minor if back else abs(minor)
            for (back, charge), minor in amounts.items()
            if back <= number
        }
        before = sum(due.values())
        total, credited = customer.invoice(start, due)
        assert total == before + sum(credited.values())
        assert 0 <= total <= before if before >= 0 else before <= total <= 0
        for (grant_id, drawn_by), minor in credited.items():
            assert (minor < 0) == (drawn_by == start), grant_id
        for grant, (amount, *_) in zip(grants, terms, strict=True):
            assert 0 <= customer.drawn(grant.grant_id) <= amount
