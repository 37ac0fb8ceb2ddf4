"""What the guard answers. Amounts are nano-units, instants UTC µs."""

from enum import StrEnum
from typing import Literal

import msgspec


class DenialRule(StrEnum):
    """Why nothing was held. Each is explained in `docs/guard.md`."""

    UNKNOWN_CUSTOMER = "unknown_customer"
    UNKNOWN_PROJECT = "unknown_project"
    KILLED = "killed"
    PAUSED = "paused"
    BREAKER_OPEN = "breaker_open"
    SESSION_STEPS = "session_steps"
    SESSION_SPEND = "session_spend"
    SESSION_RATE = "session_rate"
    SESSION_DURATION = "session_duration"
    IDENTICAL_CALLS = "identical_calls"
    HARD_LIMIT = "hard_limit"
    CREDIT = "credit"


HoldState = Literal["pending", "settled", "released", "expired"]


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """A hold: the action may run."""

    hold_id: str
    customer_id: str
    project_id: str
    session_id: str | None
    currency: str
    amount: int
    granted_at: int
    expires_at: int


class Denied(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing was held: the action must not run.

    Attributes:
        scope: what the rule is kept for, as `customer:acme`.
        window: of a limit; else None.
        asked: the estimate.
        limit: what the rule allows, in nano-units, steps or seconds; None where it knows no number.
        left: how much of it is left; None where the rule knows no number.
        resets_at: when the rule's window begins anew; None where it does not by itself.
    """

    rule: DenialRule
    scope: str
    customer_id: str
    project_id: str
    session_id: str | None
    currency: str
    asked: int
    window: str | None = None
    limit: int | None = None
    left: int | None = None
    resets_at: int | None = None
    reason: str = ""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A hold has ended.

    Attributes:
        state: `settled` or `released`; `expired` where it was settled after it had expired.
        booked: what was spent.
        freed: what of the hold was given back.
        overrun: what was spent above the hold.
        overdraft: what of the overrun no credit was there for.
        late: it had expired before; what was spent is booked all the same.
    """

    hold_id: str
    state: HoldState
    currency: str
    booked: int
    freed: int
    overrun: int = 0
    overdraft: int = 0
    late: bool = False
    ended_at: int


class Extended(msgspec.Struct, frozen=True, kw_only=True):
    """A hold will end by itself at another instant."""

    hold_id: str
    expires_at: int


Answer = Granted | Denied | Ended | Extended
