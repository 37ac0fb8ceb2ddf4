"""Scripted faults: what goes wrong with which request, how often, and what of it has happened.

A script stands around the simulator's handler (`wrap` of `running_simulator`). It is deterministic: a rule fires
by counting the requests that it is about, never by chance.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from threading import Lock

from billing_pipeline.errors import FaultRuleError
from billing_pipeline.invoicing.simulator.http_messages import Handler, Request, Response, ServerFault


class FaultKind(StrEnum):
    """What can go wrong with a request."""

    RATE_LIMITED = "rate_limited"
    """429 with Retry-After; nothing is applied, nothing kept under the key."""
    CONFLICT = "conflict"
    """409, as if a request with the same key were still running; nothing is applied, nothing kept."""
    UNAVAILABLE = "unavailable"
    """503; nothing is applied, nothing kept."""
    ERROR_STORED = "error_stored"
    """500 without effect, kept under the key: every repetition is answered the same 500."""
    APPLIED_ERROR_STORED = "applied_error_stored"
    """Applied, and still answered 500, which is kept under the key."""
    APPLIED_THEN_HANG = "applied_then_hang"
    """Applied; the answer stays away for `seconds`, then the connection is closed."""
    APPLIED_THEN_DROPPED = "applied_then_dropped"
    """Applied; the connection is closed without an answer."""
    DROPPED_BEFORE = "dropped_before"
    """The connection is closed without anything having been done."""
    SLOW = "slow"
    """Applied and answered, after `seconds`."""


MAX_SECONDS = 600.0
DEFAULT_SECONDS = {FaultKind.APPLIED_THEN_HANG: 60.0, FaultKind.SLOW: 1.0, FaultKind.RATE_LIMITED: 1.0}


@dataclass(frozen=True)
class FaultRule:
    """One thing that goes wrong.

    Args:
        method: `POST`, `GET`, `DELETE`, or `*`.
        path: like `/v1/invoices/*/finalize`; `*` stands for one segment, `**` for any rest.
        kind: what goes wrong.
        after: how many matching requests go well first.
        times: how often it goes wrong then; None for ever.
        seconds: how long an answer stays away (hang, slow), or what Retry-After says (rounded up); None for the
            kind's default.
    """

    method: str
    path: str
    kind: FaultKind
    after: int = 0
    times: int | None = 1
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.after < 0 or (self.times is not None and self.times < 1):
            raise FaultRuleError(str(self), "after is 0 or more, times 1 or more (or `always`)")
        if self.seconds is not None and not 0 <= self.seconds <= MAX_SECONDS:
            raise FaultRuleError(str(self), f"seconds are between 0 and {MAX_SECONDS:.0f}")

    @property
    def waited_seconds(self) -> float:
        """The seconds in force."""
        return DEFAULT_SECONDS.get(self.kind, 0.0) if self.seconds is None else self.seconds

    def matches(self, request: Request) -> bool:
        """Whether the rule is about this request."""
        return self.method in {"*", request.method} and bool(_pattern(self.path).match(request.path))

    def __str__(self) -> str:
        times = "always" if self.times is None else self.times
        seconds = "" if self.seconds is None else f" seconds={self.seconds:g}"
        return f"{self.method} {self.path} {self.kind} after={self.after} times={times}{seconds}"


@dataclass(frozen=True)
class FiredFault:
    """A fault that happened, and to which request."""

    rule: FaultRule
    method: str
    path: str
    idempotency_key: str | None


@dataclass
class FaultScript:
    """Rules with their counts; safe to be shared by threads.

    A matching request is counted by every rule that is about it; the first one whose turn it is decides.

    Args:
        rules: in the order in which they are asked.
        tell: called with each fault that fires.
    """

    rules: Iterable[FaultRule] = ()
    tell: Callable[[FiredFault], None] = lambda _fired: None
    _counts: list["_Count"] = field(init=False, repr=False)
    _fired: list[FiredFault] = field(init=False, repr=False, default_factory=list)
    _lock: Lock = field(init=False, repr=False, default_factory=Lock)

    def __post_init__(self) -> None:
        self._counts = [_Count(rule) for rule in self.rules]

    @property
    def fired(self) -> tuple[FiredFault, ...]:
        """What went wrong so far, in order."""
        with self._lock:
            return tuple(self._fired)

    def add(self, *rules: FaultRule) -> None:
        """Let more go wrong from here on."""
        with self._lock:
            self._counts += [_Count(rule) for rule in rules]

    def wrap(self, handler: Handler) -> Handler:
        """The handler with the faults around it."""

        def faulty(request: Request) -> Response:
            rule = self._due(request)
            return handler(request) if rule is None else _answer(rule, handler, request)

        return faulty

    def _due(self, request: Request) -> FaultRule | None:
        with self._lock:
            due = [count.rule for count in self._counts if count.rule.matches(request) and count.see()]
            if not due:
                return None
            rule = due[0]
            next(count for count in self._counts if count.rule is rule).fired += 1
            fired = FiredFault(rule, request.method, request.path, request.idempotency_key)
            self._fired.append(fired)
        self.tell(fired)
        return rule


@dataclass
class _Count:
    """How many requests a rule saw, and how often it fired."""

    rule: FaultRule
    seen: int = 0
    fired: int = 0

    def see(self) -> bool:
        """Count one matching request; whether it is the rule's turn."""
        self.seen += 1
        return self.seen > self.rule.after and (self.rule.times is None or self.fired < self.rule.times)


def _answer(rule: FaultRule, handler: Handler, request: Request) -> Response:  # noqa: PLR0911 - one per kind
    match rule.kind:
        case FaultKind.RATE_LIMITED:
            # Whole seconds, as HTTP has it; rounded up.
            return rate_limited(int(-(-rule.waited_seconds // 1)))
        case FaultKind.CONFLICT:
            return key_in_use(request.idempotency_key)
        case FaultKind.UNAVAILABLE:
            return refusal(503, "api_error", "Stripe is not available; try again.")
        case FaultKind.ERROR_STORED:
            return handler(replace(request, server_fault=ServerFault.INSTEAD))
        case FaultKind.APPLIED_ERROR_STORED:
            return handler(replace(request, server_fault=ServerFault.AFTERWARDS))
        case FaultKind.APPLIED_THEN_HANG:
            return replace(handler(request), dropped=True, delay_seconds=rule.waited_seconds)
        case FaultKind.APPLIED_THEN_DROPPED:
            return replace(handler(request), dropped=True)
        case FaultKind.DROPPED_BEFORE:
            return Response(0, "", dropped=True)
        case FaultKind.SLOW:
            return replace(handler(request), delay_seconds=rule.waited_seconds)


def refusal(
    status: int, kind: str, message: str, code: str | None = None, headers: dict[str, str] | None = None
) -> Response:
    """An error as Stripe answers it, outside of any endpoint."""
    error = {"type": kind, "message": message, **({"code": code} if code else {})}
    return Response(status, json.dumps({"error": error}), headers or {})


def rate_limited(retry_after_seconds: int) -> Response:
    """The answer to one request too many."""
    return refusal(
        429,
        "invalid_request_error",
        "Request rate limit exceeded. Space the requests out, and try again.",
        "rate_limit",
        {"Retry-After": str(retry_after_seconds), "Stripe-Rate-Limited-Reason": "global-rate"},
    )


def lock_timeout() -> Response:
    """The answer to a second call where only one may run at a time."""
    return refusal(
        429,
        "invalid_request_error",
        "Another call for this customer and meter is running: send one at a time.",
        "lock_timeout",
        {"Retry-After": "1", "Stripe-Rate-Limited-Reason": "resource-specific"},
    )


def key_in_use(key: str | None) -> Response:
    """The answer while another request with the same key is still running."""
    return refusal(
        409,
        "idempotency_error",
        f"There is currently another in-progress request using this Idempotency Key ({key}); try again later.",
        "idempotency_key_in_use",
    )


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", path)
    stands_for = {"*": "[^/]+", "**": ".*"}
    return re.compile("^" + "".join(stands_for.get(part, re.escape(part)) for part in parts) + "$")
