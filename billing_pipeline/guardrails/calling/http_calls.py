"""A request to the guard over HTTP, and what its answer means: an answer, an error, or to ask again. Pure."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlencode

import msgspec

from billing_pipeline.emit.answers import Answer as HttpAnswer
from billing_pipeline.emit.answers import NoAnswer, retry_after_seconds
from billing_pipeline.errors import (
    GuardConflictError,
    GuardError,
    GuardRefusedError,
    GuardRequestError,
    HoldNotFoundError,
    UnpricedUsageError,
)
from billing_pipeline.guardrails.answers import Answer, Denied, Ended, Extended, Granted
from billing_pipeline.guardrails.balance import CustomerBalance
from billing_pipeline.guardrails.calling.wire import from_json, to_json
from billing_pipeline.guardrails.requests import Extend, Request, Reserve

ApiKey = str | Callable[[], str]
"""A callable is asked before each request, so a key can be replaced while the client runs. It is never logged."""

_OK, _DENIED = 200, 402
_TRY_AGAIN = frozenset({408, 425, 429})
_SERVER_ERRORS = range(500, 600)
_TOLD_CHARACTERS = 200
_ENCODER = msgspec.json.Encoder()

Read = TypeVar("Read", bound=msgspec.Struct)


@dataclass(frozen=True)
class Again:
    """Nothing is known; the same request again, under the same key, may be answered."""

    reason: str
    after_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a client tries. Pauses are drawn from 0 to a bound that doubles with each attempt."""

    timeout_seconds: float = 15.0
    """For all attempts together; then the guard counts as unreachable."""
    attempt_seconds: float = 5.0
    first_pause_seconds: float = 0.05
    longest_pause_seconds: float = 2.0
    fraction: Callable[[], float] = field(default=random.random)
    """At least 0, below 1. Tests bring their own."""

    def pause_seconds(self, attempt: int, again: Again) -> float:
        """Before the next attempt; `attempt` is 0 after the first. What the server asks for is kept."""
        bound = min(self.longest_pause_seconds, self.first_pause_seconds * 2.0 ** min(attempt, 20))
        return bound * self.fraction() + (again.after_seconds or 0.0)


class _Problem(msgspec.Struct):
    code: str = ""
    message: str = ""
    field: str | None = None
    value: str | None = None


class _Refusal(msgspec.Struct):
    error: _Problem


class _Denial(msgspec.Struct):
    denied: dict[str, object]


def path_of(request: Request) -> str:
    """The route that takes a request."""
    return f"/v1/{type(request).__name__.lower()}"


def body_of(request: Request) -> bytes:
    """The request as JSON."""
    return _ENCODER.encode(to_json(request))


def balance_path(customer_id: str, project_id: str | None, session_id: str | None) -> str:
    """Path and parameters of a balance."""
    asked = {"customer_id": customer_id, "project_id": project_id, "session_id": session_id}
    return "/v1/balance?" + urlencode({name: value for name, value in asked.items() if value is not None})


def header_of(api_key: ApiKey) -> str:
    """The Authorization header.

    Raises:
        GuardRequestError: the key cannot be sent; it is not repeated.
    """
    key = api_key if isinstance(api_key, str) else api_key()
    if not (key.isascii() and key.isprintable() and key) or " " in key:
        raise GuardRequestError(
            "api_key", "…", "give a key as `billing keys create` prints it, nothing around it"
        )
    return f"Bearer {key}"


def answer_of(found: HttpAnswer | NoAnswer, request: Request) -> Answer | Again:
    """What came back for a request; errors as `ports.Ledger`, and GuardRefusedError."""
    if isinstance(found, HttpAnswer) and found.status == _DENIED:
        try:
            return from_json(msgspec.json.decode(found.body, type=_Denial).denied, Denied)
        except (msgspec.MsgspecError, ValueError):
            return Again(f"{found.status}, but not as a guard answers: {_shown(found.body)}")
    if isinstance(request, Reserve):
        return _read(found, Granted, "")
    if isinstance(request, Extend):
        return _read(found, Extended, request.hold_id)
    return _read(found, Ended, request.hold_id)


def balance_of(found: HttpAnswer | NoAnswer) -> CustomerBalance | Again:
    """What came back for a balance; errors as `answer_of`."""
    return _read(found, CustomerBalance, "")


def _read(found: HttpAnswer | NoAnswer, kind: type[Read], hold_id: str) -> Read | Again:
    if isinstance(found, NoAnswer):
        return Again(found.reason)
    if found.status == _OK:
        try:
            return from_json(msgspec.json.decode(found.body), kind)
        except (msgspec.MsgspecError, ValueError):
            return Again(f"{found.status}, but not as a guard answers: {_shown(found.body)}")
    problem = _problem(found.body)
    if found.status in _TRY_AGAIN or found.status in _SERVER_ERRORS:
        told = f"{problem.message} ({problem.code})" if problem.code else _shown(found.body)
        return Again(f"{found.status}: {told}", retry_after_seconds(found.headers))
    raise _refusal(found, problem, hold_id)


def _refusal(found: HttpAnswer, problem: _Problem, hold_id: str) -> GuardError:
    code, message = problem.code, problem.message
    match code:
        case "invalid_field" | "invalid_parameter" if problem.field is not None:
            shown = f"{problem.field} {problem.value!r}"
            return GuardRequestError(problem.field, problem.value, message.removeprefix(shown).lstrip(": "))
        case "hold_not_found":
            return HoldNotFoundError(hold_id)
        case "hold_ended" | "idempotency_conflict":
            return GuardConflictError(code, message)
        case "unpriced_usage":
            what, _, what_to_do = message.partition(" has no price: ")
            return UnpricedUsageError(what, what_to_do)
    return GuardRefusedError(found.status, code, message or _shown(found.body))


def _problem(body: bytes) -> _Problem:
    try:
        return msgspec.json.decode(body, type=_Refusal).error
    except (msgspec.MsgspecError, ValueError):
        return _Problem()


def _shown(body: bytes) -> str:
    return repr(body[:_TOLD_CHARACTERS])
