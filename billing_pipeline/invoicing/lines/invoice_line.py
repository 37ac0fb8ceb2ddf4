"""Invoice lines: what an invoice period books, one per line key, in an order and with ids that never vary."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Literal, NamedTuple, Protocol

import msgspec

from billing_pipeline.invoicing.lines.description import describe
from billing_pipeline.invoicing.lines.evidence import NO_USAGE, Evidence, digest
from billing_pipeline.rating.adjustments import Booking
from billing_pipeline.rating.charges import LineKey
from billing_pipeline.rating.money import plain
from billing_pipeline.rating.rule_book import RuleBooks

LineKind = Literal["usage", "adjustment"]
EvidenceOf = Callable[[LineKey], Evidence]
"""What a line key's quantity rests on."""
Reason = Callable[[LineKey], str]
"""Why a line key that was booked before has another amount now."""


class Provenance(NamedTuple):
    """What lines say of themselves beside their amounts.

    Attributes:
        evidence: what their quantities rest on.
        reason: why an adjustment is made.
        rated_as_of: by usage period (its start) the day whose knowledge of contracts rates it.
    """

    evidence: EvidenceOf
    reason: Reason
    rated_as_of: Mapping[date, date]


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
        quantity_before: the key's whole, as the last of them knew it.
        reason: why an adjustment is made; "" for usage.
        rated_as_of: the day whose knowledge of contracts rates the line's usage period.
        tiers: how `amount` came about, as JSON text (see `RatedCharge.tiers`).
        evidence_digest: SHA-256 over the line and the evidence behind it; no offsets, no receipt times.
        rollup_partitions: the posting days of the rollup rows behind it (of the key's rule version), as a JSON list.
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
    quantity_before: Decimal
    reason: str
    rated_as_of: date
    tiers: str
    evidence_digest: str
    rollup_partitions: str

    @property
    def currency(self) -> str:
        """ISO 4217 in lower case."""
        return self.key.currency


def invoice_lines(
    invoice_period: date, bookings: Iterable[Booking], books: RuleBooks, provenance: Provenance
) -> list[InvoiceLine]:
    """The lines of one customer's invoice period, in the order in which they are printed.

    By currency (one invoice each), usage before adjustments, then by line key. What has been booked before makes a line
    only where its amount changes.
    """
    lines = [
        _line(invoice_period, booking, books, provenance)
        for booking in bookings
        if booking.is_new or booking.due_minor or _is_own_usage(booking, invoice_period)
    ]
    return sorted(lines, key=lambda line: (line.currency, line.kind != "usage", line.key))


def _is_own_usage(booking: Booking, invoice_period: date) -> bool:
    key = booking.charge.key
    return key.usage_period == invoice_period and key.component == "usage"


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


class Priced(Protocol):
    """A key's whole with its price, from rating or read back from a table."""

    @property
    def key(self) -> LineKey:
        """What it is about."""

    @property
    def unit(self) -> str:
        """Of the quantity; "" without one."""

    @property
    def quantity(self) -> Decimal:
        """The key's whole."""

    @property
    def amount(self) -> Decimal:
        """Its price before rounding, major units."""


def evidence_digest(
    invoice_period: date, priced: Priced, due_minor: int, before_minor: int, proof: str
) -> str:
    """SHA-256 (hex) over a line and its evidence: the days behind usage, or the parts of what is not usage."""
    return digest(
        "evidence",
        invoice_period.isoformat(),
        *_key_texts(priced.key),
        priced.unit,
        plain(priced.quantity),
        plain(priced.amount),
        str(due_minor),
        str(before_minor),
        proof,
    )


def _line(invoice_period: date, booking: Booking, books: RuleBooks, provenance: Provenance) -> InvoiceLine:
    charge, key, before = booking.charge, booking.charge.key, booking.before
    due_minor = booking.due_minor
    evidence = provenance.evidence(key) if key.component == "usage" else NO_USAGE
    proof = evidence_digest(
        invoice_period,
        charge,
        due_minor,
        before.amount_minor,
        evidence.text if key.component == "usage" else charge.tiers,
    )
    # A fee in advance is of a later usage period, and no adjustment.
    kind: LineKind = "usage" if key.usage_period >= invoice_period else "adjustment"
    return InvoiceLine(
        line_id=line_id(invoice_period, key),
        invoice_period=invoice_period,
        kind=kind,
        key=key,
        description=describe(booking, invoice_period, books),
        unit=charge.unit,
        quantity=charge.quantity,
        amount=charge.amount,
        amount_minor=due_minor,
        booked_before_minor=before.amount_minor,
        quantity_before=before.quantity,
        reason=provenance.reason(key) if kind == "adjustment" or not booking.is_new else "",
        rated_as_of=provenance.rated_as_of[key.usage_period],
        tiers=charge.tiers,
        evidence_digest=proof,
        rollup_partitions=evidence.partitions,
    )


def _key_texts(key: LineKey) -> list[str]:
    return [str(value) for value in msgspec.structs.astuple(key)]
