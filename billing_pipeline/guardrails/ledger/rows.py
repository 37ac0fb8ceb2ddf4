"""The rows that requests move, as they are in memory while one group of requests is decided.

They mirror `control/guard_tables.py`. Amounts are nano-units, instants UTC µs. A row that has changed says so in
`dirty`, once.
"""

from dataclasses import dataclass

from billing_pipeline.guardrails.scope import customer_of

WindowKey = tuple[str, str, str, int]
"""Scope, currency, window, start."""


@dataclass(slots=True, eq=False)
class Account:
    """A customer's credit in one currency: the fold of its journal. The six add up to 0.

    Attributes:
        issued: what grants have brought, negative.
        available: neither held nor spent; below 0 it is owed by a customer who needs no credit.
        held: by open holds.
        spent: settled.
        overdraft: spent without credit by a customer who needs it, negative.
        expired: credit that time has taken.
    """

    customer_id: str
    currency: str
    issued: int = 0
    available: int = 0
    held: int = 0
    spent: int = 0
    overdraft: int = 0
    expired: int = 0
    dirty: bool = False


@dataclass(slots=True, eq=False)
class Grant:
    """Prepaid value. `remaining` is what is left of it; `lost` what time or a void has taken; the rest was burned."""

    customer_id: str
    currency: str
    grant_id: str
    amount: int
    remaining: int
    lost: int
    priority: int
    expires_at: int | None
    created_at: int
    voided_at: int | None = None
    dirty: bool = False

    @property
    def burned(self) -> int:
        """What settled usage has taken."""
        return self.amount - self.remaining - self.lost

    def has_ended(self, at_us: int) -> bool:
        """Whether it is worth nothing any more, but for what open holds count on."""
        return self.voided_at is not None or (self.expires_at is not None and self.expires_at <= at_us)


@dataclass(slots=True, eq=False)
class WindowRow:
    """What was spent in one window of a scope."""

    scope: str
    currency: str
    window: str
    starts_at: int
    pending: int = 0
    settled: int = 0
    unguarded: int = 0
    calls: int = 0
    dirty: bool = False

    @property
    def used(self) -> int:
        """All that counts against limits."""
        return self.pending + self.settled + self.unguarded

    @property
    def key(self) -> WindowKey:
        """What tells it from others."""
        return (self.scope, self.currency, self.window, self.starts_at)


@dataclass(slots=True, eq=False)
class SessionRow:
    """An agent run, and its breaker: `closed`, `open` or `half_open`."""

    scope: str
    customer_id: str
    project_id: str
    currency: str
    started_at: int
    last_at: int
    steps: int = 0
    pending: int = 0
    settled: int = 0
    unguarded: int = 0
    minute_starts_at: int = 0
    minute_steps: int = 0
    last_call: str | None = None
    repeats: int = 0
    breaker: str = "closed"
    opened_by: str | None = None
    opened_at: int | None = None
    steps_before: int = 0
    """Steps that no longer count, since a person has let it go on."""
    spend_before: int = 0
    probe_hold_id: str | None = None
    """The one hold that a half-open breaker has let through and that has not ended."""
    dirty: bool = False

    @property
    def used(self) -> int:
        """All that was spent or is held."""
        return self.pending + self.settled + self.unguarded


@dataclass(slots=True, eq=False)
class HoldRow:
    """A hold. `booked` is what it was settled at; of an expired one it is None, also if it was settled late."""

    hold_id: str
    customer_id: str
    currency: str
    project_id: str
    session_id: str | None
    idempotency_key: str
    request_hash: str
    amount: int
    steps: int
    needs_credit: bool
    usage: str
    details: str
    period_starts_at: int
    granted_at: int
    expires_at: int
    granted_until: int
    """When it would have expired had nobody extended it."""
    extension_key: str | None = None
    extension_hash: str | None = None
    state: str = "pending"
    booked: int | None = None
    overdraft: int | None = None
    end_key: str | None = None
    end_hash: str | None = None
    ended_at: int | None = None
    dirty: bool = False


@dataclass(slots=True, frozen=True)
class LateSettlement:
    """What an expired hold was settled at."""

    hold_id: str
    booked: int
    overdraft: int
    end_key: str
    end_hash: str
    recorded_at: int


@dataclass(slots=True, frozen=True)
class DenialRow:
    """A denial, as a repeat of its request gets it again."""

    customer_id: str
    project_id: str
    session_id: str | None
    currency: str
    idempotency_key: str
    request_hash: str
    rule: str
    scope: str
    time_window: str | None
    asked: int
    allowed: int | None
    remaining: int | None
    resets_at: int | None
    reason: str
    recorded_at: int


@dataclass(slots=True, eq=False)
class LimitRow:
    """A limit set for one scope; `amount` None is none at all."""

    scope: str
    currency: str
    time_window: str
    severity: str
    amount: int | None
    inherits: bool

    @property
    def customer_id(self) -> str:
        """The customer that the scope belongs to."""
        return customer_of(self.scope)


@dataclass(slots=True, eq=False)
class StopRow:
    """A kill switch or a pause."""

    scope: str
    kind: str
    active: bool
    resumes_at: int | None
    who: str
    why: str
    changed_at: int

    @property
    def customer_id(self) -> str:
        """The customer that the scope belongs to."""
        return customer_of(self.scope)


@dataclass(slots=True, eq=False)
class ReviewRow:
    """Something for people to decide."""

    review_id: str
    kind: str
    scope: str
    customer_id: str
    currency: str
    opened_at: int
    evidence: str = "{}"
    resumes_at: int | None = None
    decided_at: int | None = None
