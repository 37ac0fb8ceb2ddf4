"""What was spent: in a minute, by an agent run, by one action."""

from typing import Any

import msgspec
from sqlalchemy import RowMapping

from billing_pipeline.guardrails.review.shown import Instant, Nano


class SpendMinute(msgspec.Struct, frozen=True, kw_only=True):
    """What was spent in one minute; `calls` counts what was granted in it."""

    at: Instant
    settled: Nano
    pending: Nano
    unguarded: Nano
    calls: int

    @property
    def total(self) -> int:
        """All that counts against limits, in nano-units."""
        return self.settled + self.pending + self.unguarded


class SessionSpend(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent run has spent and done."""

    scope: str
    project_id: str
    currency: str
    started_at: Instant
    last_at: Instant
    steps: int
    settled: Nano
    pending: Nano
    unguarded: Nano
    repeats: int
    breaker: str
    opened_by: str | None
    opened_at: Instant | None

    @property
    def total(self) -> int:
        """In nano-units."""
        return self.settled + self.pending + self.unguarded


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One hold: what an action was expected to cost, and what it did cost.

    Attributes:
        booked: None while the hold is open.
        usage: as it was asked for.
        step, call, user_id: as the product named them.
    """

    hold_id: str
    project_id: str
    session_id: str | None
    currency: str
    state: str
    amount: Nano
    booked: Nano | None
    granted_at: Instant
    expires_at: Instant
    ended_at: Instant | None
    step: str | None
    call: str | None
    user_id: str | None
    usage: tuple[dict[str, Any], ...]


def session_of(row: RowMapping) -> SessionSpend:
    """A row of `guard_sessions`, as it is shown."""
    return SessionSpend(
        scope=row["scope"],
        project_id=row["project_id"],
        currency=row["currency"],
        started_at=row["started_at"],
        last_at=row["last_at"],
        steps=row["steps"],
        settled=row["settled"],
        pending=row["pending"],
        unguarded=row["unguarded"],
        repeats=row["repeats"],
        breaker=row["breaker"],
        opened_by=row["opened_by"],
        opened_at=row["opened_at"],
    )


def action_of(row: RowMapping) -> Action:
    """A row of `guard_holds`, as it is shown."""
    details = _mapping(row["details"])
    return Action(
        hold_id=row["hold_id"],
        project_id=row["project_id"],
        session_id=row["session_id"],
        currency=row["currency"],
        state=row["state"],
        amount=row["amount"],
        booked=row["booked"],
        granted_at=row["granted_at"],
        expires_at=row["expires_at"],
        ended_at=row["ended_at"],
        step=details.get("step"),
        call=details.get("call"),
        user_id=details.get("user_id"),
        usage=_usage(row["usage"]),
    )


def _mapping(text: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _usage(text: str) -> tuple[dict[str, Any], ...]:
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return ()
    return tuple(each for each in found if isinstance(each, dict)) if isinstance(found, list) else ()
