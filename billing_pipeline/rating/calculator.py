"""The calculator: what a quantity costs under a charge, by the code that rates, without a rule book or a customer.

A charge stands alone: the dimensions it names are taken for those of its meter, and price tables are written out in
it. Lines that say the same charge in the same bytes share one that has been read.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

import msgspec

from billing_pipeline.contract.json_reading import JsonValue
from billing_pipeline.errors import DocumentError
from billing_pipeline.rating.book_sections.charges import FLAT_FEE, read_fee_price, read_model
from billing_pipeline.rating.calculator_request import (
    CHARGE,
    LINE,
    Asked,
    read_asked,
    read_object,
    refuse,
    split_charge,
    texts,
)
from billing_pipeline.rating.charge_models.by_name import read_charge_model
from billing_pipeline.rating.charge_models.price import NoPrice, Price, Priced, Segment
from billing_pipeline.rating.charge_models.surroundings import Surroundings
from billing_pipeline.rating.charges import parts_document
from billing_pipeline.rating.document_json import field_of
from billing_pipeline.rating.money import EXACT, major_text, plain, round_minor, stored_amount
from billing_pipeline.rating.plan_terms.flat_fee import FlatFee

LINE_BYTES_MOST = 1_000_000
KEPT_BYTES_MOST = 8_000_000
"""Of the charges that have been read and may come again."""
_TEXT_CHARACTERS_MOST = 500
_NOTHING = Priced(Decimal(), ())


class _Charge(NamedTuple):
    """A charge that has been read; `names` are the dimensions (and other texts) that it speaks of."""

    price: Price | FlatFee
    names: frozenset[str]


class _Row(NamedTuple):
    """The line's quantity, as charge models see it."""

    dimensions: str
    quantity: Decimal
    event_count: int


class Calculator:
    """Answers lines one by one. It remembers charges and nothing else, so the order of lines does not matter."""

    def __init__(self) -> None:
        self._kept: dict[tuple[bytes, str], _Charge | DocumentError] = {}
        self._kept_bytes = 0

    def answer(self, line: bytes | None) -> str:
        """The answer to a line, as one line of JSON in ASCII; never raises for what the line says.

        Args:
            line: without its end; None stands for one longer than `LINE_BYTES_MOST`.
        """
        try:
            if line is None or len(line) > LINE_BYTES_MOST:
                refuse(LINE, f"is longer than {LINE_BYTES_MOST:,} bytes; make it shorter")
            return json.dumps(self._calculate(line))
        except DocumentError as error:
            first = error.faults[0]
            return json.dumps({"error": {"message": _short(first.message), "field": _short(first.field)}})

    def _calculate(self, line: bytes) -> dict[str, object]:
        rest, text = split_charge(line)
        fields = read_object(rest, LINE)
        asked = read_asked(fields)
        charge = _read(fields[CHARGE], asked.currency) if text is None else self._known(text, asked.currency)
        priced = _priced(charge, asked)
        return {
            "amount": plain(stored_amount(priced.amount)),
            "rounded": major_text(round_minor(priced.amount, asked.currency), asked.currency),
            "tiers": parts_document(priced.parts),
        }

    def _known(self, text: bytes, currency: str) -> _Charge:
        found = self._kept.get((text, currency))
        if found is None:
            try:
                found = _read(read_object(text, CHARGE), currency)
            except DocumentError as error:
                found = error
            self._kept_bytes += len(text)
            if self._kept_bytes > KEPT_BYTES_MOST:
                self._kept.clear()
                self._kept_bytes = len(text)
            self._kept[text, currency] = found
        if isinstance(found, DocumentError):
            raise found
        return found


def _read(value: JsonValue, currency: str) -> _Charge:
    terms = texts(value)
    if isinstance(terms, dict) and isinstance(terms.get("table"), str):
        refuse(f"{CHARGE}.table", "names a table of a rule book; write the table out here")
    field = field_of("", terms, CHARGE)
    names = tuple(dict.fromkeys(_names(terms)))
    model = read_model(field)
    price: Price | FlatFee | None = None
    if model == FLAT_FEE:
        price = read_fee_price(field, "", "", currency)
    elif model:
        price = read_charge_model(field, Surroundings(currency, names, {}))
    field.raise_faults()
    if price is None:
        refuse(CHARGE, "is no charge; give the terms of a charge model")
    return _Charge(price, frozenset(names))


def _names(terms: object) -> Iterator[str]:
    """All texts of the terms; whichever of them a charge model takes for a dimension, the meter has it."""
    if isinstance(terms, str):
        yield terms
    elif isinstance(terms, dict):
        for each in terms.values():
            yield from _names(each)
    elif isinstance(terms, list):
        for each in terms:
            yield from _names(each)


def _priced(charge: _Charge, asked: Asked) -> Priced:
    price, quantity = charge.price, asked.quantity
    if isinstance(price, FlatFee):
        return price.priced(asked.share) if asked.share else _NOTHING
    if quantity is None:
        refuse("quantity", "missing; give a value")
    total = EXACT.add(asked.before, quantity)
    if not quantity:
        return (None if total else price.of_zero()) or _NOTHING
    dimensions = {name: value for name, value in asked.dimensions.items() if name in charge.names}
    row = _Row(msgspec.json.encode(dimensions, order="sorted").decode(), quantity, asked.event_count)
    segment = Segment(asked.before, total, (row,), asked.events_before, share=asked.share)
    (answer,) = price.rate(segment)
    if isinstance(answer, NoPrice):
        refuse(
            "dimensions", f"have no price: {answer.wanted}; give others, or a charge with a price for them"
        )
    return answer


def _short(text: str) -> str:
    return text if len(text) <= _TEXT_CHARACTERS_MOST else f"{text[:_TEXT_CHARACTERS_MOST]}..."
