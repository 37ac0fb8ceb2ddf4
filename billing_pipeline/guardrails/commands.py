"""What operators, the close and the guard's own chores have the ledger do. Each is one step in its order.

`who` and `why` are kept. Amounts are nano-units, instants UTC µs.
"""

from typing import Literal

import msgspec

from billing_pipeline.guardrails.terms import Severity
from billing_pipeline.guardrails.window import Window

StopKind = Literal["kill", "pause"]


class SetLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A limit for one scope instead of its plan's default; `amount` None is none at all, `inherit` the plan's again."""

    scope: str
    currency: str
    window: Window
    severity: Severity
    amount: int | None
    inherit: bool = False
    who: str
    why: str


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """Deny everything in a scope from the next reserve on.

    Attributes:
        currency: of the review item, where there is one.
        review_kind: puts it before people, with `evidence`, a JSON object.
    """

    scope: str
    kind: StopKind
    who: str
    why: str
    resumes_at: int | None = None
    currency: str = ""
    review_kind: str | None = None
    evidence: str = "{}"


class Lift(msgspec.Struct, frozen=True, kw_only=True):
    """Take back a kill switch or a pause."""

    scope: str
    kind: StopKind
    who: str
    why: str


class AddGrant(msgspec.Struct, frozen=True, kw_only=True):
    """Credit that a customer may spend from now on; the same id twice changes nothing."""

    customer_id: str
    currency: str
    grant_id: str
    amount: int
    priority: int = 0
    expires_at: int | None = None


class VoidGrant(msgspec.Struct, frozen=True, kw_only=True):
    """Take back what is left of a grant; the same twice changes nothing."""

    customer_id: str
    currency: str
    grant_id: str


class TrueUp(msgspec.Struct, frozen=True, kw_only=True):
    """Bring what was spent to what was invoiced, once per reference: `amount` more (or less) was due than settled."""

    customer_id: str
    currency: str
    reference: str
    amount: int


UnguardedEntry = tuple[str, str, str | None, str, int, int, int, int]
"""Customer, project, session, currency, occurred_at, period start, amount, calls."""


class CountUnguarded(msgspec.Struct, frozen=True, kw_only=True):
    """Usage that never asked: it moves counters and sessions, not credit.

    In one transaction: where there is a position `unguarded` (guard_positions) and it is not `first_offset`, nothing
    is done; else the entries are counted, `watched` is written, and the position becomes `cursor`. So what the sender
    has read of guard_watched_events at `first_offset` still holds.

    Attributes:
        entries: customer, project, session (or None), currency, occurred_at, period start, amount, calls; amount and
            calls are negative where it turned out that the guard knew the event.
        watched: rows of guard_watched_events to write in place of those with the same key: event key, customer,
            counted, and the entries counted for it as JSON (an empty array where the guard knows the event).
        first_offset: of the queue; where the sender began to read.
        cursor: the offset after the last record that was looked at.
    """

    entries: tuple[UnguardedEntry, ...]
    watched: tuple[tuple[str, str, bool, str], ...] = ()
    first_offset: int
    cursor: int


class ExpireDue(msgspec.Struct, frozen=True, kw_only=True):
    """End the holds, pauses and grants whose time has come, at most so many of each."""

    at_most: int = 1000


class DecideReview(msgspec.Struct, frozen=True, kw_only=True):
    """A person's (or the policy's) word on a review item.

    `resume` lifts the pause, and lets an open breaker try again (half-open); `keep` leaves it stopped; `raise_limit`
    sets the limit that was crossed to `amount` and resumes.
    """

    review_id: str
    decision: Literal["resume", "keep", "raise_limit"]
    who: str
    why: str
    amount: int | None = None


Command = SetLimit | Stop | Lift | AddGrant | VoidGrant | TrueUp | CountUnguarded | ExpireDue | DecideReview


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """A command was carried out: `changed` things were; 0 where it had been done before."""

    changed: int
    reference: str = ""
