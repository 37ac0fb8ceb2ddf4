"""The guard's facts, gone through again in their order: was each hold within what bounded it when it was granted?

Nothing of the ledger's own counters is believed. Holds and their ends come from the journal, in the order of its rows,
which for one customer is the order of decisions; limits and stops come from the logs of their changes. A change in the
same transaction as a hold (the same instant) may have come before or after it: the larger limit counts then.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, select

from billing_pipeline.control.guard_tables import (
    GUARD_HOLDS,
    GUARD_JOURNAL,
    GUARD_LIMIT_CHANGES,
    GUARD_STOP_CHANGES,
)
from billing_pipeline.guardrails.scope import customer_scope, kind_of, project_scope, session_scope
from billing_pipeline.guardrails.terms import Terms
from billing_pipeline.guardrails.window import COUNTED, window_start

TermsOf = Callable[[str], Terms]
"""The terms of a customer, the same throughout."""
WindowKey = tuple[str, str, int]
"""Scope, window, start."""


class LimitHistory:
    """Which hard limits were in force when."""

    def __init__(self, connection: Connection, terms_of: TermsOf) -> None:
        self._terms_of = terms_of
        self._changes: dict[tuple[str, str], list[tuple[int, int | None, bool]]] = defaultdict(list)
        changes = GUARD_LIMIT_CHANGES
        for row in connection.execute(select(changes).order_by(changes.c.id)).mappings():
            if row["severity"] == "hard":
                self._changes[row["scope"], row["time_window"]].append(
                    (row["recorded_at"], row["amount"], row["inherits"])
                )
        self._instants = {key: [change[0] for change in changed] for key, changed in self._changes.items()}

    def most(self, customer_id: str, scope: str, window: str, at_us: int) -> int | None:
        """The largest limit that was in force at an instant; None is none at all."""
        key = (scope, window)
        changes, instants = self._changes.get(key, []), self._instants.get(key, [])
        before = bisect_left(instants, at_us)
        found = changes[max(before - 1, 0) : bisect_right(instants, at_us)]
        amounts = [self._amount(customer_id, scope, window, change) for change in found]
        if before == 0:
            amounts.append(self._default(customer_id, scope, window))
        return None if None in amounts else max(amount for amount in amounts if amount is not None)

    def _amount(
        self, customer_id: str, scope: str, window: str, change: tuple[int, int | None, bool]
    ) -> int | None:
        return self._default(customer_id, scope, window) if change[2] else change[1]

    def _default(self, customer_id: str, scope: str, window: str) -> int | None:
        terms = self._terms_of(customer_id)
        amounts = [
            term.amount
            for term in terms.limits
            if (term.scope_kind, term.window, term.severity) == (kind_of(scope), window, "hard")
        ]
        if window == "session" and terms.breaker.spend is not None:
            amounts.append(terms.breaker.spend)
        return min(amounts, default=None)


@dataclass
class Replayed:
    """What the facts say. Amounts are nano-units."""

    grants: int = 0
    overshoot: int = 0
    """The most that a hold, when it was granted, went above a hard limit of a customer, project or session."""
    uncovered: int = 0
    """The most that a hold went above the credit that was there for it."""
    steps_over: int = 0
    """The most steps that a session was let take above its breaker."""
    after_stop: int = 0
    """Holds granted while a stop was in force."""

    @property
    def is_sound(self) -> bool:
        """Whether nothing was granted that should not have been."""
        return not (self.overshoot or self.uncovered or self.steps_over or self.after_stop)


def replay(engine: Engine, terms_of: TermsOf) -> Replayed:
    """Go through all facts of a database at rest. No session's breaker may have been let try again."""
    with engine.connect() as connection:
        limits = LimitHistory(connection, terms_of)
        stops = _stops(connection)
        holds = {row["hold_id"]: row for row in connection.execute(select(GUARD_HOLDS)).mappings()}
        journal = connection.execute(select(GUARD_JOURNAL).order_by(GUARD_JOURNAL.c.id)).mappings().all()
    found = Replayed()
    used: dict[WindowKey, int] = defaultdict(int)
    available: dict[tuple[str, str], int] = defaultdict(int)
    steps: dict[str, int] = defaultdict(int)
    for move in journal:
        hold = holds.get(move["reference"])
        account = (move["customer_id"], move["currency"])
        if hold is not None:
            keys = window_keys(hold)
            if move["kind"] == "reserve":
                found.grants += 1
                found.after_stop += _stopped(hold, stops)
                if hold["needs_credit"]:
                    found.uncovered = max(found.uncovered, hold["amount"] - available[account])
            for key in keys:
                used[key] += move["held"] + move["spent"]
                if move["kind"] == "reserve":
                    most = limits.most(hold["customer_id"], key[0], key[1], hold["granted_at"])
                    if most is not None:
                        found.overshoot = max(found.overshoot, used[key] - most)
            if move["kind"] == "reserve" and hold["session_id"] is not None:
                scope = session_scope(hold["customer_id"], hold["session_id"])
                steps[scope] += hold["steps"]
                allowed = terms_of(hold["customer_id"]).breaker.steps
                if allowed is not None:
                    found.steps_over = max(found.steps_over, steps[scope] - allowed)
        available[account] += move["available"]
    return found


def window_keys(hold: Any) -> list[WindowKey]:
    """The windows that a hold counts in."""
    customer_id = hold["customer_id"]
    scopes = [customer_scope(customer_id), project_scope(customer_id, hold["project_id"])]
    keys: list[WindowKey] = [
        (scope, window, window_start(window, hold["granted_at"], hold["period_starts_at"]))
        for scope in scopes
        for window in COUNTED
    ]
    if hold["session_id"] is not None:
        keys.append((session_scope(customer_id, hold["session_id"]), "session", 0))
    return keys


Stops = dict[str, list[tuple[int, int]]]
"""From when to when, both exclusive, each scope was stopped. UTC µs."""
FOR_EVER_US = 1 << 62


def _stops(connection: Connection) -> Stops:
    changes = GUARD_STOP_CHANGES
    found: Stops = defaultdict(list)
    since: dict[tuple[str, str], int] = {}
    for row in connection.execute(select(changes).order_by(changes.c.id)).mappings():
        key = (row["scope"], row["kind"])
        if row["active"]:
            since.setdefault(key, row["recorded_at"])
        elif key in since:
            found[row["scope"]].append((since.pop(key), row["recorded_at"]))
    for (scope, _), begun in since.items():
        found[scope].append((begun, FOR_EVER_US))
    return found


def _stopped(hold: Any, stops: Stops) -> bool:
    scopes = {key[0] for key in window_keys(hold)}
    return any(
        begun < hold["granted_at"] < ended for scope in scopes for begun, ended in stops.get(scope, ())
    )
