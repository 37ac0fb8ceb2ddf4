"""Instants of the contract: RFC 3339 text with an offset in, UTC microseconds since the epoch out."""

import re
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST_MICROSECONDS = -62_135_596_800_000_000
LATEST_MICROSECONDS = 253_402_300_799_999_999
INSTANT_PATTERN = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,12})?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)

_INSTANT = re.compile(INSTANT_PATTERN, re.ASCII)
_MICROSECOND = timedelta(microseconds=1)


def instant_us(text: str) -> int | None:
    """The instant in UTC microseconds, digits beyond the sixth cut off; None where the text is no instant.

    An offset is required: a time without one means a different instant on another machine.
    """
    if _INSTANT.fullmatch(text) is None:
        return None
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    since = moment - EPOCH
    microseconds = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return microseconds if EARLIEST_MICROSECONDS <= microseconds <= LATEST_MICROSECONDS else None


def instant_text(microseconds: int) -> str:
    """RFC 3339 text in UTC with six fractional digits."""
    return datetime_of(microseconds).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def microseconds_of(moment: datetime) -> int:
    """UTC microseconds of an aware datetime."""
    return (moment - EPOCH) // _MICROSECOND


def datetime_of(microseconds: int) -> datetime:
    """The aware UTC datetime of UTC microseconds."""
    return EPOCH + timedelta(microseconds=microseconds)
