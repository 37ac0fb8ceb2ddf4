"""Invoice lines: what an invoice period books, one per line key, in an order and with ids that never vary."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Literal

import msgspec

from billing_pipeline.invoicing.description import describe
from billing_pipeline.invoicing.evidence import digest
from billing_pipeline.rating.adjustments import Booking
from billing_pipeline.rating.charges import LineKey
from billing_pipeline.rating.money import plain
from billing_pipeline.rating.rule_book import RuleBooks

LineKind = Literal["usage", "adjustment"]
Evidence = Callable[[LineKey], str]
"""The canonical text of what a line key's quantity rests on; "" where nothing is left."""


class InvoiceLine(msgspec.Struct, frozen=True, gc=False):
    """One line of one customer's invoice for one invoice period.

    Attributes:
        line_id: 32 hex digits, the same whenever the line is made again.
        invoice_period: the start of the invoice period that books the line.
        key: what the line is about; `key.usage_period` is the invoice period, or an earlier one (adjustment).
        quantity: the key's whole, as known now, in `unit`.
        amount: the whole's price before rounding, major units, DECIMAL(38, 24).
        amount_minor: what this line adds to the invoice: the rounded whole minus `booked_before_minor`.
        booked_before_minor: the sum of the amounts of the key's lines in earlier invoice periods.
        tiers: how `amount` came about, as JSON text (see `RatedCharge.tiers`).
        evidence_digest: SHA-256 over the line and the evidence behind it; no offsets, no receipt times.
    """

    line_id: str
    invoice_period: date
    kind: LineKind
    key: LineKey
    description: str
    unit: str
    quantity: Decimal
    amount: Decimal
    amount_minor: int
    booked_before_minor: int
    tiers: str
    evidence_digest: str

    @property
    def currency(self) -> str:
        """ISO 4217 in lower case."""
        return self.key.currency


def invoice_lines(
    invoice_period: date, bookings: Iterable[Booking], books: RuleBooks, evidence: Evidence
) -> list[InvoiceLine]:
    """The lines of one customer's invoice period, in the order in which they are printed.

    By currency (one invoice each), usage before adjustments, then by line key. A booking of an earlier usage
    period makes a line only where it changes the amount or books its key for the first time.
    """
    lines = [
        _line(invoice_period, booking, books, evidence)
        for booking in bookings
        if booking.is_new or booking.due_minor or booking.charge.key.usage_period == invoice_period
    ]
    return sorted(lines, key=lambda line: (line.currency, line.kind != "usage", line.key))


def by_currency(lines: Iterable[InvoiceLine]) -> dict[str, list[InvoiceLine]]:
    """The lines of each invoice: one invoice per currency, in the order of the currencies' codes."""
    invoices: dict[str, list[InvoiceLine]] = {}
    for line in sorted(lines, key=lambda line: line.currency):
        invoices.setdefault(line.currency, []).append(line)
    return invoices


def invoice_total(lines: Sequence[InvoiceLine]) -> int:
    """The sum of the rounded lines of one invoice, in minor units; 0 without lines.

    Raises:
        ValueError: the lines are of several currencies, hence of several invoices.
    """
    currencies = {line.currency for line in lines}
    if len(currencies) > 1:
        raise ValueError(f"lines in {', '.join(sorted(currencies))} make no sum; split them with by_currency")
    return sum(line.amount_minor for line in lines)


def line_id(invoice_period: date, key: LineKey) -> str:
    """The id of a key's line in an invoice period: 32 hex digits (128 bits), nothing random in it."""
    return digest("line", invoice_period.isoformat(), *_key_texts(key))[:32]


def _line(invoice_period: date, booking: Booking, books: RuleBooks, evidence: Evidence) -> InvoiceLine:
    charge, key = booking.charge, booking.charge.key
    due_minor = booking.due_minor
    proof = digest(
        "evidence",
        invoice_period.isoformat(),
        *_key_texts(key),
        charge.unit,
        plain(charge.quantity),
        plain(charge.amount),
        str(due_minor),
        str(booking.booked_before_minor),
        evidence(key),
    )
    return InvoiceLine(
        line_id=line_id(invoice_period, key),
        invoice_period=invoice_period,
        kind="usage" if key.usage_period == invoice_period else "adjustment",
        key=key,
        description=describe(booking, invoice_period, books),
        unit=charge.unit,
        quantity=charge.quantity,
        amount=charge.amount,
        amount_minor=due_minor,
        booked_before_minor=booking.booked_before_minor,
        tiers=charge.tiers,
        evidence_digest=proof,
    )


def _key_texts(key: LineKey) -> list[str]:
    return [str(value) for value in msgspec.structs.astuple(key)]
