"""Amounts as people write them: `25`, `0.10`, in major units of a currency."""

import re

from billing_pipeline.errors import GuardRequestError
from billing_pipeline.guardrails.nano import LARGEST_AMOUNT, NANO

_AMOUNT = re.compile(r"([0-9]{1,10})(?:\.([0-9]{1,9}))?", re.ASCII)


def nano_of(text: str) -> int:
    """Nano-units of an amount in major units.

    Raises:
        GuardRequestError: it is none, has more than nine digits after the point, or is too large.
    """
    found = _AMOUNT.fullmatch(text.strip())
    amount = int(found[1]) * NANO + int((found[2] or "").ljust(9, "0")) if found else -1
    if not 0 <= amount <= LARGEST_AMOUNT:
        raise GuardRequestError(
            "amount",
            text,
            f"write major units, like 25 or 0.10: at most nine digits after the point, and {LARGEST_AMOUNT // NANO}",
        )
    return amount
