"""What an answer of the gateway means for the events of its request. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from billing_pipeline.errors import EventFault

_ALL_ACCEPTED, _SOME_REFUSED, _ALL_REFUSED = 202, 207, 422
_TOO_LARGE = 413
_TRY_AGAIN = frozenset({408, 425, 429})
_SERVER_ERRORS = range(500, 600)
TOLD_CHARACTERS = 200


@dataclass(frozen=True)
class Answer:
    """What came back. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class NoAnswer:
    """Nothing came back: no connection, or no answer in time. The events may have arrived all the same."""

    reason: str


@dataclass(frozen=True)
class Settled:
    """The gateway has every event; those refused, by their place in the request."""

    refused: Mapping[int, EventFault] = field(default_factory=dict)


@dataclass(frozen=True)
class TryAgain:
    """Nothing is settled; another attempt may help by itself."""

    reason: str
    after_seconds: float | None = None


@dataclass(frozen=True)
class Held:
    """Nothing is settled, and only a person can mend the cause."""

    reason: str


@dataclass(frozen=True)
class Split:
    """The request is too large; send fewer events at a time."""

    reason: str


Verdict = Settled | TryAgain | Held | Split


class _Error(msgspec.Struct):
    index: int
    code: str | None = None
    field: str | None = None
    value: object = None
    message: str | None = None


class _Settling(msgspec.Struct):
    accepted: int
    refused: int
    errors: list[_Error] = []


class _Problem(msgspec.Struct):
    code: str = ""
    message: str = ""


class _Failure(msgspec.Struct):
    error: _Problem


_SETTLING = msgspec.json.Decoder(_Settling)
_FAILURE = msgspec.json.Decoder(_Failure)


def verdict_of(answer: Answer | NoAnswer, count: int) -> Verdict:
    """What becomes of a request of `count` events."""
    if isinstance(answer, NoAnswer):
        return TryAgain(answer.reason)
    if answer.status in (_ALL_ACCEPTED, _SOME_REFUSED, _ALL_REFUSED):
        return _settling(answer, count)
    reason = f"{answer.status}: {_told(answer.body)}"
    if answer.status in _TRY_AGAIN or answer.status in _SERVER_ERRORS:
        return TryAgain(reason, retry_after_seconds(answer.headers))
    if answer.status == _TOO_LARGE and count > 1:
        return Split(reason)
    return Held(reason)


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """The pause that a Retry-After header asks for, as seconds or as a date; None where it asks for none.

    A date is taken from the answer's own Date: by the server's clock for both, whatever this machine's clock says.
    """
    value = headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    until, sent = _moment(value), _moment(headers.get("date", ""))
    return None if until is None or sent is None else max(0.0, (until - sent).total_seconds())


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _settling(answer: Answer, count: int) -> Verdict:
    """Only an answer that accounts for every event settles: another server's 202 must lose nothing."""
    try:
        found = _SETTLING.decode(answer.body)
    except msgspec.DecodeError:
        return Held(f"{answer.status}, but not as a gateway answers: {_told(answer.body)}")
    refused = {
        error.index: EventFault(
            error.code or "",
            error.field or "",
            None if error.value is None else str(error.value),
            error.message or "",
        )
        for error in found.errors
        if 0 <= error.index < count
    }
    if found.accepted + found.refused != count or len(refused) != found.refused:
        told = f"{found.accepted} accepted, {found.refused} refused, {len(refused)} named"
        return Held(f"{answer.status}, but for {count} events it tells of {told}")
    return Settled(refused)


def _told(body: bytes) -> str:
    try:
        error = _FAILURE.decode(body).error
    except msgspec.DecodeError:
        return repr(body[:TOLD_CHARACTERS])
    return f"{error.message} ({error.code})"
