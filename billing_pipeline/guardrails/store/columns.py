"""How rows become values of the guard's tables, in the order of the columns below; the same for both databases."""

from operator import attrgetter
from typing import Any, NamedTuple

from billing_pipeline.guardrails.ledger.book import Changes
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
    WindowRow,
)


class Kept(NamedTuple):
    """A table and how its rows are written.

    Attributes:
        columns: in the order of the row's values.
        key: a row with the same values here is replaced; empty: rows are only ever added.
    """

    table: str
    columns: tuple[str, ...]
    key: tuple[str, ...] = ()


ACCOUNTS = Kept(
    "guard_accounts",
    ("customer_id", "currency", "issued", "available", "held", "spent", "overdraft", "expired"),
    ("customer_id", "currency"),
)
GRANTS = Kept(
    "guard_grants",
    (
        *("customer_id", "currency", "grant_id", "amount", "remaining", "lost", "priority", "expires_at"),
        *("created_at", "voided_at"),
    ),
    ("customer_id", "currency", "grant_id"),
)
WINDOWS = Kept(
    "guard_windows",
    ("scope", "currency", "time_window", "starts_at", "pending", "settled", "unguarded", "calls"),
    ("scope", "currency", "time_window", "starts_at"),
)
SESSIONS = Kept(
    "guard_sessions",
    (
        *("scope", "customer_id", "project_id", "currency", "started_at", "last_at", "steps", "pending"),
        *("settled", "unguarded", "minute_starts_at", "minute_steps", "last_call", "repeats", "breaker"),
        *("opened_by", "opened_at", "steps_before", "spend_before", "probe_hold_id"),
    ),
    ("scope",),
)
HOLDS = Kept(
    "guard_holds",
    (
        *(
            "hold_id",
            "customer_id",
            "currency",
            "project_id",
            "session_id",
            "idempotency_key",
            "request_hash",
        ),
        *("amount", "steps", "needs_credit", "usage", "details", "period_starts_at", "granted_at"),
        *("expires_at", "granted_until", "extension_key", "extension_hash", "state", "booked", "overdraft"),
        *("end_key", "end_hash", "ended_at"),
    ),
)
DENIALS = Kept(
    "guard_denials",
    (
        *("customer_id", "project_id", "session_id", "currency", "idempotency_key", "request_hash", "rule"),
        *("scope", "time_window", "asked", "allowed", "remaining", "resets_at", "reason", "recorded_at"),
    ),
)
LATE_SETTLEMENTS = Kept(
    "guard_late_settlements", ("hold_id", "booked", "overdraft", "end_key", "end_hash", "recorded_at")
)
LIMITS = Kept(
    "guard_limits",
    ("scope", "currency", "time_window", "severity", "amount", "inherits", "customer_id"),
    ("scope", "currency", "time_window", "severity"),
)
STOPS = Kept(
    "guard_stops",
    ("scope", "kind", "active", "resumes_at", "who", "why", "changed_at", "customer_id"),
    ("scope", "kind"),
)
REVIEWS = Kept(
    "guard_reviews",
    (
        *("review_id", "kind", "scope", "customer_id", "currency", "opened_at", "evidence", "resumes_at"),
        "decided_at",
    ),
)
JOURNAL = Kept(
    "guard_journal",
    (
        *("customer_id", "currency", "kind", "reference", "issued", "available", "held", "spent"),
        *("overdraft", "expired", "recorded_at"),
    ),
)
ALERTS = Kept(
    "guard_alerts", ("scope", "currency", "time_window", "starts_at", "amount", "used", "recorded_at")
)
NOTICES = Kept("guard_notices", ("kind", "payload", "created_at", "attempts", "next_attempt_at"))
OUTBOX = Kept("guard_outbox", ("hold_id", "payload", "created_at"))
DECISIONS = Kept("guard_review_decisions", ("review_id", "decision", "amount", "who", "why", "recorded_at"))
LIMIT_CHANGES = Kept(
    "guard_limit_changes",
    ("scope", "currency", "time_window", "severity", "amount", "inherits", "who", "why", "recorded_at"),
)
STOP_CHANGES = Kept(
    "guard_stop_changes", ("scope", "kind", "active", "resumes_at", "who", "why", "recorded_at")
)
TRUE_UPS = Kept("guard_true_ups", ("customer_id", "currency", "reference", "amount", "recorded_at"))
WATCHED = Kept(
    "guard_watched_events",
    ("event_key", "customer_id", "counted", "entries", "recorded_at"),
    ("event_key",),
)
POSITIONS = Kept("guard_positions", ("name", "position"), ("name",))
CUSTOMERS = Kept("guard_customers", ("customer_id",))

_values_of = {kept.table: attrgetter(*kept.columns) for kept in (ACCOUNTS, GRANTS, SESSIONS, HOLDS, DENIALS)}
_account, _grant = _values_of["guard_accounts"], _values_of["guard_grants"]
_session, _hold, _denial = (
    _values_of["guard_sessions"],
    _values_of["guard_holds"],
    _values_of["guard_denials"],
)
_late, _limit = attrgetter(*LATE_SETTLEMENTS.columns), attrgetter(*LIMITS.columns)
_stop, _review = attrgetter(*STOPS.columns), attrgetter(*REVIEWS.columns)
_window = attrgetter("scope", "currency", "window", *WINDOWS.columns[3:])

HOLD_ENDS = (
    *("expires_at", "extension_key", "extension_hash", "state", "booked", "overdraft", "end_key"),
    *("end_hash", "ended_at", "hold_id"),
)
"""What changes of a hold, with its id last; it changes only while it is pending."""
_hold_end = attrgetter(*HOLD_ENDS)

Values = tuple[Any, ...]


def written(changes: Changes) -> list[tuple[Kept, list[Values]]]:
    """All rows of a group by table, but for the ends of holds and decisions of reviews, which are updates.

    A hold that was granted and ended within the group is written as it ended.
    """
    return [
        (HOLDS, [_hold(row) for row in changes.new_holds]),
        (ACCOUNTS, [_account(row) for row in changes.accounts]),
        (GRANTS, [_grant(row) for row in changes.grants]),
        (JOURNAL, changes.journal),
        (WINDOWS, [_window(row) for row in changes.windows]),
        (SESSIONS, [_session(row) for row in changes.sessions]),
        (DENIALS, [_denial(row) for row in changes.denials]),
        (LATE_SETTLEMENTS, [_late(row) for row in changes.late_settlements]),
        (LIMITS, [_limit(row) for row in changes.limits.values()]),
        (LIMIT_CHANGES, changes.limit_changes),
        (STOPS, [_stop(row) for row in changes.stops.values()]),
        (STOP_CHANGES, changes.stop_changes),
        (REVIEWS, [_review(row) for row in changes.new_reviews]),
        (DECISIONS, changes.decisions),
        (ALERTS, changes.alerts),
        (NOTICES, [(kind, payload, at_us, 0, at_us) for kind, payload, at_us in changes.notices]),
        (OUTBOX, changes.outbox),
        (TRUE_UPS, changes.true_ups),
        (WATCHED, changes.watched),
        (POSITIONS, list(changes.positions.items())),
    ]


def ended_holds(changes: Changes) -> list[Values]:
    """The holds that have changed and were there before, as `HOLD_ENDS`."""
    new = {row.hold_id for row in changes.new_holds}
    return [_hold_end(row) for row in changes.holds if row.hold_id not in new]


def account_of(row: Values) -> Account:
    """From the values of `ACCOUNTS`."""
    return Account(*row)


def grant_of(row: Values) -> Grant:
    """From the values of `GRANTS`."""
    return Grant(*row)


def window_of(row: Values) -> WindowRow:
    """From the values of `WINDOWS`."""
    return WindowRow(*row)


def session_of(row: Values) -> SessionRow:
    """From the values of `SESSIONS`."""
    return SessionRow(*row)


def hold_of(row: Values) -> HoldRow:
    """From the values of `HOLDS`."""
    hold = HoldRow(*row)
    hold.needs_credit = bool(hold.needs_credit)  # SQLite has no truth values
    return hold


def denial_of(row: Values) -> DenialRow:
    """From the values of `DENIALS`."""
    return DenialRow(*row)


def late_settlement_of(row: Values) -> LateSettlement:
    """From the values of `LATE_SETTLEMENTS`."""
    return LateSettlement(*row)


def limit_of(row: Values) -> LimitRow:
    """From the values of `LIMITS`."""
    scope, currency, time_window, severity, amount, inherits, _ = row
    return LimitRow(scope, currency, time_window, severity, amount, bool(inherits))


def stop_of(row: Values) -> StopRow:
    """From the values of `STOPS`."""
    scope, kind, active, resumes_at, who, why, changed_at, _ = row
    return StopRow(scope, kind, bool(active), resumes_at, who, why, changed_at)


def review_of(row: Values) -> ReviewRow:
    """From the values of `REVIEWS`."""
    return ReviewRow(*row)
