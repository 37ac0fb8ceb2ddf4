"""One fault of an event: which field, which value, which rule, and what to do."""

import json

import msgspec

from billing_pipeline.contract.json_reading import Number
from billing_pipeline.contract.limits import QUOTED_CHARACTERS
from billing_pipeline.contract.reason_codes import RejectionCode


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with one field. `field` is a path (`allocations[0].share`), empty for the record."""

    reason_code: RejectionCode
    field: str
    value: str | None
    """The value as the event gave it, shortened to 200 characters; control characters are escaped."""
    rule: str
    message: str


class Faults:
    """Collects the faults of one event."""

    def __init__(self) -> None:
        self.found: list[Fault] = []

    def add(self, reason_code: RejectionCode, field: str, value: object, rule: str) -> None:
        """Note that `field`, which is `value`, breaks `rule` (a phrase that follows "must")."""
        quoted = quote(value)
        subject = field or "the record"
        message = f"{subject} must {rule}" + (f", not {quoted}" if quoted is not None else "")
        self.found.append(Fault(reason_code, field, quoted, rule, message))


def quote(value: object) -> str | None:
    """The value as text that is safe to print and to store; None stays None."""
    if value is None:
        return None
    if isinstance(value, Number):
        text = value.text
    elif isinstance(value, str) and value.isprintable():
        text = value
    else:
        text = json.dumps(value, default=_plain)
    return text if len(text) <= QUOTED_CHARACTERS else text[: QUOTED_CHARACTERS - 1] + "…"


def _plain(value: object) -> str:
    return value.text if isinstance(value, Number) else str(value)
