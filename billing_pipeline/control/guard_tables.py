"""The guard's tables in the control database: credit ledger, holds, counters, limits, stops, reviews.

The journal, denials, alerts, decisions and changes are facts, which are only ever added. Holds, balances, counters and
stops are state: the fold of the facts, which `billing verify` proves. Amounts are nano-units (10⁻⁹ of the currency's
major unit), instants UTC microseconds. A scope is `customer:ID`, `project:CUSTOMER/ID` or `session:CUSTOMER/ID`.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from billing_pipeline.control.tables import METADATA, ROW_ID

GUARD_CUSTOMERS = Table(
    "guard_customers",
    METADATA,
    Column("customer_id", String(256), primary_key=True),
)
"""The row that is locked before anything of a customer is moved."""

GUARD_ACCOUNTS = Table(
    "guard_accounts",
    METADATA,
    Column("customer_id", String(256), primary_key=True),
    Column("currency", String(3), primary_key=True),
    Column("issued", BigInteger, nullable=False),
    Column("available", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=False),
    Column("overdraft", BigInteger, nullable=False),
    Column("expired", BigInteger, nullable=False),
)

GUARD_GRANTS = Table(
    "guard_grants",
    METADATA,
    Column("customer_id", String(256), primary_key=True),
    Column("currency", String(3), primary_key=True),
    Column("grant_id", String(256), primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("remaining", BigInteger, nullable=False),
    Column("lost", BigInteger, nullable=False, default=0),
    Column("priority", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("voided_at", BigInteger),
)

GUARD_JOURNAL = Table(
    "guard_journal",
    METADATA,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("customer_id", String(256), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("reference", String(512), nullable=False),
    Column("issued", BigInteger, nullable=False),
    Column("available", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=False),
    Column("overdraft", BigInteger, nullable=False),
    Column("expired", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    CheckConstraint(
        "issued + available + held + spent + overdraft + expired = 0", name="guard_journal_balances"
    ),
    Index("guard_journal_by_account", "customer_id", "currency", "id"),
)

GUARD_HOLDS = Table(
    "guard_holds",
    METADATA,
    Column("hold_id", String(32), primary_key=True),
    Column("customer_id", String(256), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("project_id", String(256), nullable=False),
    Column("session_id", String(256)),
    Column("idempotency_key", String(256), nullable=False),
    Column("request_hash", String(32), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("steps", BigInteger, nullable=False),
    Column("needs_credit", Boolean, nullable=False),
    Column("usage", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("period_starts_at", BigInteger, nullable=False),
    Column("granted_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("granted_until", BigInteger, nullable=False),
    Column("extension_key", String(256)),
    Column("extension_hash", String(32)),
    Column("state", String(8), nullable=False),
    Column("booked", BigInteger),
    Column("overdraft", BigInteger),
    Column("end_key", String(256)),
    Column("end_hash", String(32)),
    Column("ended_at", BigInteger),
    UniqueConstraint("customer_id", "idempotency_key"),
    Index("guard_holds_by_grant", "customer_id", "granted_at"),
    Index("guard_holds_by_session", "customer_id", "session_id"),
    Index(
        "guard_holds_pending",
        "expires_at",
        sqlite_where=text("state = 'pending'"),
        postgresql_where=text("state = 'pending'"),
    ),
)

GUARD_LATE_SETTLEMENTS = Table(
    "guard_late_settlements",
    METADATA,
    Column("hold_id", String(32), primary_key=True),
    Column("booked", BigInteger, nullable=False),
    Column("overdraft", BigInteger, nullable=False),
    Column("end_key", String(256), nullable=False),
    Column("end_hash", String(32), nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)

GUARD_DENIALS = Table(
    "guard_denials",
    METADATA,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("customer_id", String(256), nullable=False),
    Column("project_id", String(256), nullable=False),
    Column("session_id", String(256)),
    Column("currency", String(3), nullable=False),
    Column("idempotency_key", String(256), nullable=False),
    Column("request_hash", String(32), nullable=False),
    Column("rule", String(32), nullable=False),
    Column("scope", String(540), nullable=False),
    Column("time_window", String(8)),
    Column("asked", BigInteger, nullable=False),
    Column("allowed", BigInteger),
    Column("remaining", BigInteger),
    Column("resets_at", BigInteger),
    Column("reason", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    UniqueConstraint("customer_id", "idempotency_key"),
    Index("guard_denials_by_time", "customer_id", "recorded_at"),
)

GUARD_WINDOWS = Table(
    "guard_windows",
    METADATA,
    Column("scope", String(540), primary_key=True),
    Column("currency", String(3), primary_key=True),
    Column("time_window", String(8), primary_key=True),
    Column("starts_at", BigInteger, primary_key=True, autoincrement=False),
    Column("pending", BigInteger, nullable=False),
    Column("settled", BigInteger, nullable=False),
    Column("unguarded", BigInteger, nullable=False),
    Column("calls", BigInteger, nullable=False),
    Index(
        "guard_windows_by_minute",
        "starts_at",
        sqlite_where=text("time_window = 'minute'"),
        postgresql_where=text("time_window = 'minute'"),
    ),
)

GUARD_SESSIONS = Table(
    "guard_sessions",
    METADATA,
    Column("scope", String(540), primary_key=True),
    Column("customer_id", String(256), nullable=False),
    Column("project_id", String(256), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("steps", BigInteger, nullable=False),
    Column("pending", BigInteger, nullable=False),
    Column("settled", BigInteger, nullable=False),
    Column("unguarded", BigInteger, nullable=False),
    Column("minute_starts_at", BigInteger, nullable=False),
    Column("minute_steps", BigInteger, nullable=False),
    Column("last_call", String(256)),
    Column("repeats", BigInteger, nullable=False),
    Column("breaker", String(9), nullable=False),
    Column("opened_by", String(32)),
    Column("opened_at", BigInteger),
    Column("steps_before", BigInteger, nullable=False),
    Column("spend_before", BigInteger, nullable=False),
    Column("probe_hold_id", String(32)),
    Index("guard_sessions_by_customer", "customer_id", "last_at"),
)

GUARD_LIMITS = Table(
    "guard_limits",
    METADATA,
    Column("scope", String(540), primary_key=True),
    Column("customer_id", String(256), nullable=False),
    Column("currency", String(3), primary_key=True),
    Column("time_window", String(8), primary_key=True),
    Column("severity", String(4), primary_key=True),
    Column("amount", BigInteger),
    Column("inherits", Boolean, nullable=False),
    Index("guard_limits_by_customer", "customer_id"),
)

GUARD_LIMIT_CHANGES = Table(
    "guard_limit_changes",
    METADATA,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("scope", String(540), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("time_window", String(8), nullable=False),
    Column("severity", String(4), nullable=False),
    Column("amount", BigInteger),
    Column("inherits", Boolean, nullable=False),
    Column("who", String(256), nullable=False),
    Column("why", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)

GUARD_STOPS = Table(
    "guard_stops",
    METADATA,
    Column("scope", String(540), primary_key=True),
    Column("customer_id", String(256), nullable=False),
    Column("kind", String(5), primary_key=True),
    Column("active", Boolean, nullable=False),
    Column("resumes_at", BigInteger),
    Column("who", String(256), nullable=False),
    Column("why", Text, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Index("guard_stops_by_customer", "customer_id"),
)

GUARD_STOP_CHANGES = Table(
    "guard_stop_changes",
    METADATA,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("scope", String(540), nullable=False),
    Column("kind", String(5), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("resumes_at", BigInteger),
    Column("who", String(256), nullable=False),
    Column("why", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)

GUARD_REVIEWS = Table(
    "guard_reviews",
    METADATA,
    Column("review_id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("scope", String(540), nullable=False),
    Column("customer_id", String(256), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("evidence", Text, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("resumes_at", BigInteger),
    Column("decided_at", BigInteger),
    Index(
        "guard_reviews_open",
        "opened_at",
        sqlite_where=text("decided_at IS NULL"),
        postgresql_where=text("decided_at IS NULL"),
    ),
)

GUARD_REVIEW_DECISIONS = Table(
    "guard_review_decisions",
    METADATA,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("review_id", String(32), ForeignKey("guard_reviews.review_id"), nullable=False),
    Column("decision", String(16), nullable=False),
    Column("amount", BigInteger),
    Column("who", String(256), nullable=False),
    Column("why", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)

GUARD_ALERTS = Table(
    "guard_alerts",
    METADATA,
    Column("scope", String(540), primary_key=True),
    Column("currency", String(3), primary_key=True),
    Column("time_window", String(8), primary_key=True),
    Column("starts_at", BigInteger, primary_key=True, autoincrement=False),
    Column("amount", BigInteger, primary_key=True, autoincrement=False),
    Column("used", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)

GUARD_NOTICES = Table(
    "guard_notices",
    METADATA,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("payload", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("next_attempt_at", BigInteger),
    Column("delivered_at", BigInteger),
    Column("last_failure", Text),
    Index(
        "guard_notices_due",
        "next_attempt_at",
        sqlite_where=text("delivered_at IS NULL"),
        postgresql_where=text("delivered_at IS NULL"),
    ),
)

GUARD_OUTBOX = Table(
    "guard_outbox",
    METADATA,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("hold_id", String(32), nullable=False),
    Column("payload", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger),
    Index(
        "guard_outbox_unsent",
        "id",
        sqlite_where=text("sent_at IS NULL"),
        postgresql_where=text("sent_at IS NULL"),
    ),
)

GUARD_TRUE_UPS = Table(
    "guard_true_ups",
    METADATA,
    Column("customer_id", String(256), primary_key=True),
    Column("currency", String(3), primary_key=True),
    Column("reference", String(256), primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)

GUARD_WATCHED_EVENTS = Table(
    "guard_watched_events",
    METADATA,
    Column("event_key", String(32), primary_key=True),
    Column("customer_id", String(256), nullable=False),
    Column("counted", Boolean, nullable=False),
    Column("entries", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Index("guard_watched_events_by_time", "recorded_at"),
)

GUARD_POSITIONS = Table(
    "guard_positions",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("position", BigInteger, nullable=False),
)
