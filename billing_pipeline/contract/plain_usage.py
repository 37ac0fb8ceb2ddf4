"""Plain usage events: those that SQL can turn into the columns of the log, exactly as the contract does.

Most events are plain: ours in JSON, on one line, in ASCII, without an escape, with instants in UTC of up to six
fractional digits, and one payer. Such an event is only checked at the door, and its columns, digest and key hash are
made where the log is landed (`ingest/sql/landed_plain.sql`). Everything else is parsed in full at the door; both ways
give the same row.
"""

import re
from datetime import datetime
from operator import attrgetter

import msgspec
from msgspec import UNSET

from billing_pipeline.contract.decimals import QUANTITY_PATTERN
from billing_pipeline.contract.limits import PAYLOAD_BYTES
from billing_pipeline.contract.wire import WireUsage

_USAGE = msgspec.json.Decoder(WireUsage)
_QUOTES_OF_REQUIRED = 2 * (10 + 9)  # ten names, and nine texts: all but the schema version
_QUOTES_OF_SHARE = 2 * 6
_UNPLAIN = b"\\\n\r\x7f"
_LARGEST_INTEGER = 1 << 63
_OPTIONAL_TEXTS = (
    "user_id",
    "emitted_at",
    "received_at",
    "session_id",
    "parent_id",
    "step",
    "reason_code",
)
_optional_texts = attrgetter(*_OPTIONAL_TEXTS)
_is_quantity = re.compile(QUANTITY_PATTERN, re.ASCII).fullmatch
# In UTC, as SQL casts a text with another offset by its session's time zone or not at all; the contract knows more.
_is_plain_instant = re.compile(
    r"(?:19|2[0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
    r"(?:Z|\+00:00)",
    re.ASCII,
).fullmatch


def plain_usage(payload: bytes) -> WireUsage | None:
    """The event if it is plain and valid; None says nothing but that it has to be parsed in full."""
    # To remove them and compare the lengths is the quickest way to ask whether any of some bytes is there.
    if not payload.isascii() or not len(payload.translate(None, _UNPLAIN)) == len(payload) <= PAYLOAD_BYTES:
        return None
    try:
        event = _USAGE.decode(payload)
        if payload.count(b'"') != quotes_of(event) or not _is_plain(event):
            return None
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None
    return event


def quotes_of(event: WireUsage) -> int:
    """How many quotes the event takes in JSON without escapes: two for every name and every text.

    Without escapes each name and text takes two quotes, so a key that came twice leaves quotes over.
    """
    texts = _optional_texts(event)
    nulls = texts.count(None)
    quotes = _QUOTES_OF_REQUIRED if isinstance(event.quantity, str) else _QUOTES_OF_REQUIRED - 2
    quotes += 4 * (len(texts) - texts.count(UNSET) - nulls) + 2 * nulls
    if event.billable is not UNSET:
        quotes += 2
    if event.dimensions is not UNSET:
        quotes += 2 + 4 * len(event.dimensions or ())
    if event.allocations is not UNSET:
        quotes += 2 + _QUOTES_OF_SHARE * len(event.allocations or ())
    return quotes


def _is_plain(event: WireUsage) -> bool:
    quantity = event.quantity
    if event.allocations or "/" in event.customer_id:
        return False
    if not (_is_quantity(quantity) if isinstance(quantity, str) else 0 <= quantity < _LARGEST_INTEGER):
        return False
    if event.billable is False and not event.reason_code:
        return False
    if event.schema_version == 1 and (event.session_id or event.parent_id):
        return False
    emitted_at, received_at = event.emitted_at, event.received_at
    return (
        _is_instant(event.occurred_at)
        and (not isinstance(emitted_at, str) or _is_instant(emitted_at))
        and (not isinstance(received_at, str) or _is_instant(received_at))
    )


def _is_instant(text: str) -> bool:
    if _is_plain_instant(text) is None:
        return False
    datetime.fromisoformat(text)  # a day that the month does not have is a ValueError
    return True
