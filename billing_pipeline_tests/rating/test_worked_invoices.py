"""What other products publish of coupons and prepaid credits on an invoice comes out to the cent."""

import textwrap
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from billing_pipeline.rating.adjustments import NOTHING_BOOKED, Booking
from billing_pipeline.rating.agreement import Agreement, CreditGrant, Redemption
from billing_pipeline.rating.charges import Component, LineKey, RatedCharge
from billing_pipeline.rating.invoice_terms import invoice_terms
from billing_pipeline.rating.money import round_minor
from billing_pipeline.rating.rule_book import RuleBooks
from billing_pipeline.rating.rule_book_yaml import load_rule_book
from billing_pipeline_tests.rating.worked_example import Example, invoice_examples, number

EXAMPLES = invoice_examples()
JUNE = (date(2026, 6, 1), date(2026, 6, 30))
BEFORE = date(2026, 1, 1)
BOOK = """\
version: "1"
effective_from: 2020-01-01T00:00:00Z
units: [unit]
meters:
  usage: {unit: unit, aggregation: sum}
plans:
  pro: {currency: usd, charges: []}
"""


def books_of(example: Example, folder: Path) -> RuleBooks:
    text = BOOK
    if "coupons" in example.keys:
        coupons = StringIO()
        YAML().serialize(example.keys["coupons"].node, coupons)
        text += "coupons:\n" + textwrap.indent(coupons.getvalue(), "  ")
    path = folder / "book.yaml"
    path.write_text(text, "utf-8")
    return RuleBooks((load_rule_book(path),))


def grants(example: Example, currency: str) -> Iterator[CreditGrant]:
    for grant_id, field in example.fields("grants").items():
        keys = field.mapping(required=("amount",), optional=("priority", "charges", "currency"))
        field.raise_faults()
        yield CreditGrant(
            grant_id=grant_id,
            currency=keys["currency"].text() if "currency" in keys else currency,
            amount=number(keys["amount"]),
            start=BEFORE,
            priority=int(keys["priority"].text()) if "priority" in keys else 0,
            charges=frozenset(item.text() for item in keys["charges"].items())
            if "charges" in keys
            else frozenset(),
        )


def line(charge: str, amount: Decimal, currency: str) -> Booking:
    key = LineKey("acme", "project", JUNE[0], "pro", charge, "usage", "{}", "1", currency)
    return Booking(
        RatedCharge(key, "unit", Decimal(1), 1, amount, round_minor(amount, currency), ()),
        NOTHING_BOOKED,
        is_new=True,
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.id for example in EXAMPLES])
def test_an_invoice_gives_the_published_draws_and_total(example: Example, tmp_path: Path) -> None:
    """What each coupon takes off, what is drawn from each grant, and what is left to pay."""
    currency = example.text("currency", "")
    lines = [line(charge, amount, currency) for charge, amount in example.amounts("lines").items()]
    agreement = Agreement(
        "acme",
        redemptions=tuple(Redemption(name, BEFORE) for name in example.fields("coupons")),
        grants=tuple(grants(example, currency)),
    )
    made = invoice_terms(lines, {}, agreement, books_of(example, tmp_path), JUNE)

    def taken(component: Component) -> dict[str, int]:
        keys = {booking.charge.key: booking.due_minor for booking in made}
        return {key.term: -minor for key, minor in keys.items() if key.component == component}

    def published(name: str) -> dict[str, int]:
        return {term: round_minor(amount, currency) for term, amount in example.amounts(name).items()}

    assert taken("invoice_coupon") == published("off")
    assert taken("credit") == published("draws")
    total = sum(booking.due_minor for booking in [*lines, *made])
    assert total == round_minor(number(example.keys["total"]), currency)
