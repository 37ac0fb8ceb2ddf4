"""The rules of single fields: text, decimal, instant, boolean, code. Each adds every fault that it finds."""

import re
from collections.abc import Collection, Mapping
from enum import StrEnum

from billing_pipeline.contract.decimals import DIGITS
from billing_pipeline.contract.fault import Faults
from billing_pipeline.contract.instants import instant_us
from billing_pipeline.contract.json_reading import JsonValue, Number
from billing_pipeline.contract.limits import FRACTIONAL_DIGITS, INSTANT_CHARACTERS, INTEGER_DIGITS
from billing_pipeline.contract.reason_codes import RejectionCode

CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def check_unknown(fields: Mapping[str, JsonValue], known: Collection[str], path: str, faults: Faults) -> None:
    """Add a fault for each field that is not known."""
    for name, value in fields.items():
        if name not in known:
            faults.add(
                RejectionCode.UNKNOWN_FIELD, path + name, value, f"be one of {', '.join(sorted(known))}"
            )


def check_text(
    value: JsonValue,
    field: str,
    characters: int,
    faults: Faults,
    *,
    required: bool = True,
    slash: bool = True,
    lines: bool = False,
) -> None:
    """Add the faults of a text of 1 to `characters` characters.

    Args:
        value: the field's value; null is the same as absent.
        field: its path.
        characters: how many it may have.
        faults: what they are added to.
        required: whether the field may be absent.
        slash: whether a slash is allowed (not in a customer's id: the registry writes `customer/project`).
        lines: whether line ends and tabs are allowed.
    """
    rule = f"be text of 1 to {characters} characters"
    if value is None:
        if required:
            faults.add(RejectionCode.MISSING_FIELD, field, None, f"be given, and {rule}")
        return
    if not isinstance(value, str):
        faults.add(RejectionCode.WRONG_TYPE, field, value, rule)
        return
    if not value:
        faults.add(RejectionCode.EMPTY, field, value, rule)
    if len(value) > characters:
        faults.add(RejectionCode.TOO_LONG, field, value, f"{rule} (it has {len(value)})")
    if "\0" in value:
        faults.add(RejectionCode.NUL_CHARACTER, field, value, "have no NUL character")
    elif (_CONTROL_BUT_LINES if lines else CONTROL_CHARACTERS).search(value):
        faults.add(
            RejectionCode.INVALID_CHARACTER, field, value, "have no control characters or half surrogates"
        )
    if not slash and "/" in value:
        faults.add(RejectionCode.INVALID_CHARACTER, field, value, "have no slash")


def check_decimal(
    value: JsonValue, field: str, faults: Faults, *, signed: bool = False, required: bool = True
) -> None:
    """Add the faults of a quantity or a signed delta."""
    if value is None:
        if required:
            faults.add(
                RejectionCode.MISSING_FIELD, field, None, "be given, as decimal text or a JSON integer"
            )
        return
    if isinstance(value, bool) or not isinstance(value, str | Number):
        faults.add(RejectionCode.WRONG_TYPE, field, value, "be decimal text or a JSON integer")
        return
    if isinstance(value, Number) and not value.is_integer:
        rule = "be decimal text or a JSON integer, never a number with a point or an exponent"
        faults.add(RejectionCode.FLOAT_QUANTITY, field, value, rule)
        return
    text = value.text if isinstance(value, Number) else value
    match = DIGITS.fullmatch(text)
    if match is None:
        rule = "be digits with at most one point between them, without sign, exponent, space or separator"
        faults.add(RejectionCode.INVALID_QUANTITY, field, value, rule)
        return
    # -0 as a JSON integer is 0 to every reader of JSON.
    if text.startswith("-") and not signed and not (text == "-0" and isinstance(value, Number)):
        faults.add(
            RejectionCode.NEGATIVE_QUANTITY, field, value, "be 0 or more; send a correction to take back"
        )
    if len(match[1]) > INTEGER_DIGITS or len(match[2] or "") > FRACTIONAL_DIGITS:
        rule = f"have at most {INTEGER_DIGITS} integer and {FRACTIONAL_DIGITS} fractional digits"
        faults.add(RejectionCode.OVER_PRECISE_QUANTITY, field, value, rule)


def check_instant(value: JsonValue, field: str, faults: Faults, *, required: bool = False) -> None:
    """Add the fault of an instant."""
    rule = "be an RFC 3339 time with an offset, like 2026-03-01T12:00:00Z"
    if value is None:
        if required:
            faults.add(RejectionCode.MISSING_FIELD, field, None, f"be given, and {rule}")
    elif not isinstance(value, str):
        faults.add(RejectionCode.WRONG_TYPE, field, value, rule)
    elif len(value) > INSTANT_CHARACTERS or instant_us(value) is None:
        faults.add(RejectionCode.INVALID_INSTANT, field, value, rule)


def check_boolean(value: JsonValue, field: str, faults: Faults) -> None:
    """Add the fault of a boolean; null is the same as absent."""
    if value is not None and not isinstance(value, bool):
        faults.add(RejectionCode.WRONG_TYPE, field, value, "be true or false")


def check_reason_code(value: JsonValue, codes: type[StrEnum], faults: Faults, *, required: bool) -> None:
    """Add the fault of a reason code out of `codes`."""
    rule = f"be one of {', '.join(codes)}"
    if value is None:
        if required:
            faults.add(RejectionCode.MISSING_REASON_CODE, "reason_code", None, f"be given, and {rule}")
    elif not isinstance(value, str):
        faults.add(RejectionCode.WRONG_TYPE, "reason_code", value, rule)
    elif value not in set(codes):
        faults.add(RejectionCode.UNKNOWN_REASON_CODE, "reason_code", value, rule)
