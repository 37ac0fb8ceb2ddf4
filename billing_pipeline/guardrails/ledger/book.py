"""The rows that are open while requests are decided: read when first asked for, and what is to be written.

Whoever decides changes rows only here. The store writes `Changes` and commits; where that fails, nothing of the book
is believed any more.
"""

import secrets
from dataclasses import dataclass, field, fields
from typing import Any

from billing_pipeline.errors import HoldNotFoundError
from billing_pipeline.guardrails.ledger.rows import (
    Account,
    DenialRow,
    Grant,
    HoldRow,
    LateSettlement,
    LimitRow,
    ReviewRow,
    SessionRow,
    StopRow,
    WindowKey,
    WindowRow,
)
from billing_pipeline.guardrails.ledger.rows_port import Rows

LimitKey = tuple[str, str, str, str]
"""Scope, currency, window, severity."""
StopKey = tuple[str, str]
"""Scope, kind."""
ROWS_KEPT = 200_000
"""Of all kinds together; beyond, they are read again."""


@dataclass(slots=True)
class Changes:
    """What a group of requests has changed: new facts as rows of their tables, and the state rows that moved."""

    journal: list[tuple[Any, ...]] = field(default_factory=list)
    new_holds: list[HoldRow] = field(default_factory=list)
    denials: list[DenialRow] = field(default_factory=list)
    late_settlements: list[LateSettlement] = field(default_factory=list)
    alerts: list[tuple[Any, ...]] = field(default_factory=list)
    notices: list[tuple[str, str, int]] = field(default_factory=list)
    outbox: list[tuple[str, str, int]] = field(default_factory=list)
    new_reviews: list[ReviewRow] = field(default_factory=list)
    decided_reviews: list[tuple[str, int]] = field(default_factory=list)
    decisions: list[tuple[Any, ...]] = field(default_factory=list)
    limits: dict[LimitKey, LimitRow] = field(default_factory=dict)
    limit_changes: list[tuple[Any, ...]] = field(default_factory=list)
    stops: dict[StopKey, StopRow] = field(default_factory=dict)
    stop_changes: list[tuple[Any, ...]] = field(default_factory=list)
    true_ups: list[tuple[Any, ...]] = field(default_factory=list)
    watched: list[tuple[Any, ...]] = field(default_factory=list)
    positions: dict[str, int] = field(default_factory=dict)
    accounts: list[Account] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    windows: list[WindowRow] = field(default_factory=list)
    sessions: list[SessionRow] = field(default_factory=list)
    holds: list[HoldRow] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any(getattr(self, each.name) for each in fields(self))


class Book:
    """Rows by key. What is not there is read once, also to find that there is none."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.changes = Changes()
        self.forget()

    def forget(self) -> None:
        """Believe nothing any more, and drop what was to be written."""
        self.changes = Changes()
        self.accounts: dict[tuple[str, str], Account] = {}
        self.grants_of: dict[tuple[str, str], list[Grant]] = {}
        self.open_grants: dict[tuple[str, str], list[Grant]] = {}
        self.windows: dict[WindowKey, WindowRow] = {}
        self.window_sets: dict[tuple[str, str, str, int, int], tuple[WindowRow, ...]] = {}
        self.sessions: dict[str, SessionRow | None] = {}
        self.limits: dict[str, dict[LimitKey, LimitRow]] = {}
        self.stops: dict[str, dict[StopKey, StopRow]] = {}
        self.holds: dict[str, HoldRow | None] = {}
        self.answers: dict[tuple[str, str], HoldRow | DenialRow | None] = {}
        self.alerts: dict[tuple[WindowKey, int], bool] = {}
        self.late: dict[str, LateSettlement] = {}
        self.reviews: dict[str, ReviewRow | None] = {}
        self.positions: dict[str, int | None] = {}
        self.trued_up: set[tuple[str, str, str]] = set()
        self.plans: dict[tuple[str, str], Any] = {}
        """What limits come to, by customer and project; see `limits.limits_of`."""

    def written(self) -> None:
        """All changes, if any, are durable: rows are clean, and those that nobody asks for again are let go."""
        changes, self.changes = self.changes, Changes()
        for changed in (changes.accounts, changes.grants, changes.windows, changes.sessions, changes.holds):
            for row in changed:
                row.dirty = False
        for hold in changes.holds:
            self.holds.pop(hold.hold_id, None)
        for decided_id, _ in changes.decided_reviews:
            self.reviews.pop(decided_id, None)
        self.answers.clear()
        self.late.clear()
        self.trued_up.clear()
        kept = len(self.accounts) + len(self.windows) + len(self.window_sets) + len(self.sessions)
        if kept + len(self.holds) + len(self.limits) + len(self.alerts) > ROWS_KEPT:
            self.forget()

    def account(self, customer_id: str, currency: str) -> Account:
        """The account; one without movements where there is none yet."""
        key = (customer_id, currency)
        found = self.accounts.get(key)
        if found is None:
            found = self.rows.account(customer_id, currency) or Account(customer_id, currency)
            self.accounts[key] = found
        return found

    def all_grants(self, customer_id: str, currency: str) -> list[Grant]:
        """All grants there have been, in any order."""
        key = (customer_id, currency)
        found = self.grants_of.get(key)
        if found is None:
            found = self.grants_of[key] = self.rows.grants(customer_id, currency)
        return found

    def grants(self, customer_id: str, currency: str) -> list[Grant]:
        """The grants that have something left, in any order."""
        key = (customer_id, currency)
        found = self.open_grants.get(key)
        if found is None:
            known = self.all_grants(customer_id, currency)
            found = self.open_grants[key] = [each for each in known if each.remaining]
        return found

    def grant(self, customer_id: str, currency: str, grant_id: str) -> Grant | None:
        """The grant of this id, or None."""
        known = self.all_grants(customer_id, currency)
        return next((each for each in known if each.grant_id == grant_id), None)

    def window(self, key: WindowKey) -> WindowRow:
        """A window's counters; zero where nothing was counted."""
        found = self.windows.get(key)
        if found is None:
            found = self.windows[key] = self.rows.window(key) or WindowRow(*key)
        return found

    def session(self, scope: str) -> SessionRow | None:
        """A session that has asked before, or None."""
        if scope not in self.sessions:
            self.sessions[scope] = self.rows.session(scope)
        return self.sessions[scope]

    def limits_set(self, customer_id: str) -> dict[LimitKey, LimitRow]:
        """The limits that were set for a customer and what belongs to it."""
        found = self.limits.get(customer_id)
        if found is None:
            found = self.limits[customer_id] = {
                (row.scope, row.currency, row.time_window, row.severity): row
                for row in self.rows.limits(customer_id)
            }
        return found

    def stops_of(self, customer_id: str) -> dict[StopKey, StopRow]:
        """The stops in force for a customer and what belongs to it."""
        found = self.stops.get(customer_id)
        if found is None:
            found = self.stops[customer_id] = {
                (row.scope, row.kind): row for row in self.rows.stops(customer_id) if row.active
            }
        return found

    def hold(self, hold_id: str) -> HoldRow | None:
        """A hold, or None."""
        if hold_id not in self.holds:
            self.holds[hold_id] = self.rows.hold(hold_id)
        return self.holds[hold_id]

    def known_hold(self, hold_id: str) -> HoldRow:
        """A hold that must be there.

        Raises:
            HoldNotFoundError: there is none.
        """
        hold = self.hold(hold_id)
        if hold is None:
            raise HoldNotFoundError(hold_id)
        return hold

    def answered(self, customer_id: str, idempotency_key: str) -> HoldRow | DenialRow | None:
        """What a reserve with this key has become, or None where there was none."""
        key = (customer_id, idempotency_key)
        if key not in self.answers:
            self.answers[key] = self.rows.answered(customer_id, idempotency_key)
        return self.answers[key]

    def has_alert(self, key: WindowKey, amount: int) -> bool:
        """Whether this crossing was told already."""
        if (key, amount) not in self.alerts:
            self.alerts[key, amount] = self.rows.has_alert(key, amount)
        return self.alerts[key, amount]

    def late_settlement(self, hold_id: str) -> LateSettlement | None:
        """What an expired hold was settled at, or None."""
        return self.late.get(hold_id) or self.rows.late_settlement(hold_id)

    def review(self, review_id: str) -> ReviewRow | None:
        """A review item, or None."""
        if review_id not in self.reviews:
            self.reviews[review_id] = self.rows.review(review_id)
        return self.reviews[review_id]

    def position(self, name: str) -> int | None:
        """How far a follower has come, or None where it has not begun."""
        if name not in self.positions:
            self.positions[name] = self.rows.position(name)
        return self.positions[name]

    def touch_account(self, row: Account) -> None:
        """It has changed."""
        if not row.dirty:
            row.dirty = True
            self.changes.accounts.append(row)

    def touch_grant(self, row: Grant) -> None:
        """It has changed."""
        if not row.dirty:
            row.dirty = True
            self.changes.grants.append(row)

    def touch_window(self, row: WindowRow) -> None:
        """It has changed."""
        if not row.dirty:
            row.dirty = True
            self.changes.windows.append(row)

    def touch_session(self, row: SessionRow) -> None:
        """It has changed."""
        if not row.dirty:
            row.dirty = True
            self.changes.sessions.append(row)

    def touch_hold(self, row: HoldRow) -> None:
        """It has changed."""
        if not row.dirty:
            row.dirty = True
            self.changes.holds.append(row)


def new_id(at_us: int) -> str:
    """Of a hold or review item: the instant and 72 random bits, as 32 hex digits, so that neighbours lie together."""
    return f"{at_us:014x}{secrets.token_hex(9)}"
