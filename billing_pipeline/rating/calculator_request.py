"""One line of the calculator: what it asks, read strictly, every number as its digits are written."""

import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple, NoReturn

import msgspec

from billing_pipeline.contract.json_reading import JsonValue, Number, read_json
from billing_pipeline.errors import DocumentError, DocumentFault
from billing_pipeline.rating.book_sections.amounts import read_currency
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.document_json import field_of

LINE = "line"
"""The field of a fault that is of the line as a whole."""
CHARGE = "charge"
_LEVELS = 8
_QUANTITY_DIGITS = (29, 9)
_SHARE_DIGITS = 24
_EVENTS_MOST = 999_999_999
_NAME_CHARACTERS, _VALUE_CHARACTERS = 64, 256
_RATIO = re.compile(r"(0|[1-9][0-9]{0,17})/([1-9][0-9]{0,17})")
_WHOLE = Fraction(1)
_OPTIONAL = ("quantity", "event_count", "dimensions", "before", "events_before", "share")
_RAW_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Asked(NamedTuple):
    """What a line asks besides the charge.

    Attributes:
        quantity: None where it is left out, which a flat fee may.
        before: the pool's position before the quantity.
        events_before: how many events that position is made of.
        share: of the usage period in which the plan is in force.
    """

    currency: str
    quantity: Decimal | None
    dimensions: Mapping[str, str]
    event_count: int = 1
    before: Decimal = Decimal()
    events_before: int = 0
    share: Fraction = _WHOLE


def split_charge(line: bytes) -> tuple[bytes, bytes | None]:
    """The line with `{}` for its charge, and the charge's own text, so that one that comes again is read once.

    None where the line is faulty or says the same text twice: it is then to be read whole.
    """
    try:
        found = _RAW_FIELDS.decode(line).get(CHARGE)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return line, None
    charge = bytes(found) if found is not None else b""
    if not charge.startswith(b"{") or line.count(charge) != 1:
        return line, None
    return line.replace(charge, b"{}"), charge


def read_object(text: bytes, name: str, levels: int = _LEVELS) -> dict[str, JsonValue]:
    """A JSON object whose numbers keep their digits.

    Raises:
        DocumentError: it is none, names a key twice, or is nested too deeply.
    """
    if not text.strip():
        refuse(name, "is empty; give a JSON object")
    document = read_json(text, levels)
    if document.fault is not None:
        fault = document.fault.replace("_", " ")
        refuse(name, f"is no JSON ({fault}: {document.detail}); give a JSON object")
    if document.duplicate_keys:
        refuse(name, f"{document.duplicate_keys[0]!r} is given twice; keep one")
    if not isinstance(document.value, dict):
        refuse(name, 'is no JSON object; give one like {"charge": {…}, "quantity": "5", "currency": "usd"}')
    return document.value


def read_asked(fields: Mapping[str, JsonValue]) -> Asked:
    """What an object asks; its charge is looked at elsewhere.

    Raises:
        DocumentError: a field is missing, unknown or faulty.
    """
    charge = fields.get(CHARGE)
    shown = {**fields, CHARGE: "given"} if charge is not None else fields
    root = field_of("", {name: texts(value) for name, value in shown.items()})
    keys = root.mapping(required=(CHARGE, "currency"), optional=_OPTIONAL)
    asked = Asked(
        currency=read_currency(keys["currency"]),
        quantity=_read_quantity(keys["quantity"]) if "quantity" in keys else None,
        dimensions=_read_dimensions(keys["dimensions"]) if "dimensions" in keys else {},
        event_count=_read_count(keys["event_count"]) if "event_count" in keys else 1,
        before=(_read_quantity(keys["before"]) if "before" in keys else None) or Decimal(),
        events_before=_read_count(keys["events_before"]) if "events_before" in keys else 0,
        share=_read_share(keys["share"]) if "share" in keys else _WHOLE,
    )
    root.raise_faults()
    return asked


def texts(value: JsonValue) -> object:
    """The value with its numbers as the texts they were written as."""
    if isinstance(value, Number):
        return value.text
    if isinstance(value, dict):
        return {key: texts(each) for key, each in value.items()}
    if isinstance(value, list):
        return [texts(each) for each in value]
    return value


def refuse(name: str, message: str) -> NoReturn:
    """Refuse the line for a fault of one field.

    Raises:
        DocumentError: always.
    """
    raise DocumentError([DocumentFault("", 1, name, message)])


def _read_quantity(field: Field) -> Decimal | None:
    whole, fraction = _QUANTITY_DIGITS
    return field.decimal(integer_digits=whole, fraction_digits=fraction)


def _read_count(field: Field) -> int:
    return field.whole(least=0, most=_EVENTS_MOST)


def _read_dimensions(field: Field) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, child in field.entries(characters_most=_NAME_CHARACTERS).items():
        if not child.is_null:
            found[name] = child.text(most=_VALUE_CHARACTERS)
            if any("\ud800" <= letter <= "\udfff" for letter in name + found[name]):
                child.fault("has half of a character (a lone surrogate); write the whole one")
    return found


def _read_share(field: Field) -> Fraction:
    text = field.text()
    if "/" in text:
        found = _RATIO.fullmatch(text)
        if found is None:
            field.fault(f"{text!r} is no ratio of whole numbers; write it like 10/31 or 0.5")
            return _WHOLE
        share = Fraction(int(found[1]), int(found[2]))
    else:
        share = Fraction(
            field.decimal(integer_digits=_QUANTITY_DIGITS[0], fraction_digits=_SHARE_DIGITS) or 0
        )
    if share > 1:
        field.fault(f"{text} is more than the whole period; give 0 to 1")
    return share
