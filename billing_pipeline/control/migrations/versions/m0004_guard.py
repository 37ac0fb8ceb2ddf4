"""The guard: credit ledger, holds, counters, limits, stops, sessions, reviews, notices and the outbox of events."""

import sqlalchemy as sa
from alembic import op

from billing_pipeline.control.migrations.append_only import make_append_only

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables, and make those that hold facts append-only."""
    op.create_table(
        "guard_customers",
        sa.Column("customer_id", sa.String(256), primary_key=True),
    )
    op.create_table(
        "guard_accounts",
        sa.Column("customer_id", sa.String(256), primary_key=True),
        sa.Column("currency", sa.String(3), primary_key=True),
        sa.Column("issued", sa.BigInteger, nullable=False),
        sa.Column("available", sa.BigInteger, nullable=False),
        sa.Column("held", sa.BigInteger, nullable=False),
        sa.Column("spent", sa.BigInteger, nullable=False),
        sa.Column("overdraft", sa.BigInteger, nullable=False),
        sa.Column("expired", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "guard_grants",
        sa.Column("customer_id", sa.String(256), primary_key=True),
        sa.Column("currency", sa.String(3), primary_key=True),
        sa.Column("grant_id", sa.String(256), primary_key=True),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("remaining", sa.BigInteger, nullable=False),
        sa.Column("lost", sa.BigInteger, nullable=False),
        sa.Column("priority", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("voided_at", sa.BigInteger),
    )
    op.create_table(
        "guard_journal",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("customer_id", sa.String(256), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("reference", sa.String(512), nullable=False),
        sa.Column("issued", sa.BigInteger, nullable=False),
        sa.Column("available", sa.BigInteger, nullable=False),
        sa.Column("held", sa.BigInteger, nullable=False),
        sa.Column("spent", sa.BigInteger, nullable=False),
        sa.Column("overdraft", sa.BigInteger, nullable=False),
        sa.Column("expired", sa.BigInteger, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.CheckConstraint(
            "issued + available + held + spent + overdraft + expired = 0", name="guard_journal_balances"
        ),
    )
    op.create_index("guard_journal_by_account", "guard_journal", ["customer_id", "currency", "id"])
    op.create_table(
        "guard_holds",
        sa.Column("hold_id", sa.String(32), primary_key=True),
        sa.Column("customer_id", sa.String(256), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("project_id", sa.String(256), nullable=False),
        sa.Column("session_id", sa.String(256)),
        sa.Column("idempotency_key", sa.String(256), nullable=False),
        sa.Column("request_hash", sa.String(32), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("steps", sa.BigInteger, nullable=False),
        sa.Column("needs_credit", sa.Boolean, nullable=False),
        sa.Column("usage", sa.Text, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("period_starts_at", sa.BigInteger, nullable=False),
        sa.Column("granted_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("granted_until", sa.BigInteger, nullable=False),
        sa.Column("extension_key", sa.String(256)),
        sa.Column("extension_hash", sa.String(32)),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("booked", sa.BigInteger),
        sa.Column("overdraft", sa.BigInteger),
        sa.Column("end_key", sa.String(256)),
        sa.Column("end_hash", sa.String(32)),
        sa.Column("ended_at", sa.BigInteger),
        sa.UniqueConstraint("customer_id", "idempotency_key"),
    )
    op.create_index("guard_holds_by_grant", "guard_holds", ["customer_id", "granted_at"])
    op.create_index("guard_holds_by_session", "guard_holds", ["customer_id", "session_id"])
    op.create_index(
        "guard_holds_pending",
        "guard_holds",
        ["expires_at"],
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "guard_late_settlements",
        sa.Column("hold_id", sa.String(32), primary_key=True),
        sa.Column("booked", sa.BigInteger, nullable=False),
        sa.Column("overdraft", sa.BigInteger, nullable=False),
        sa.Column("end_key", sa.String(256), nullable=False),
        sa.Column("end_hash", sa.String(32), nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "guard_denials",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("customer_id", sa.String(256), nullable=False),
        sa.Column("project_id", sa.String(256), nullable=False),
        sa.Column("session_id", sa.String(256)),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("idempotency_key", sa.String(256), nullable=False),
        sa.Column("request_hash", sa.String(32), nullable=False),
        sa.Column("rule", sa.String(32), nullable=False),
        sa.Column("scope", sa.String(540), nullable=False),
        sa.Column("time_window", sa.String(8)),
        sa.Column("asked", sa.BigInteger, nullable=False),
        sa.Column("allowed", sa.BigInteger),
        sa.Column("remaining", sa.BigInteger),
        sa.Column("resets_at", sa.BigInteger),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("customer_id", "idempotency_key"),
    )
    op.create_index("guard_denials_by_time", "guard_denials", ["customer_id", "recorded_at"])
    op.create_table(
        "guard_windows",
        sa.Column("scope", sa.String(540), primary_key=True),
        sa.Column("currency", sa.String(3), primary_key=True),
        sa.Column("time_window", sa.String(8), primary_key=True),
        sa.Column("starts_at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("pending", sa.BigInteger, nullable=False),
        sa.Column("settled", sa.BigInteger, nullable=False),
        sa.Column("unguarded", sa.BigInteger, nullable=False),
        sa.Column("calls", sa.BigInteger, nullable=False),
    )
    op.create_index(
        "guard_windows_by_minute",
        "guard_windows",
        ["starts_at"],
        sqlite_where=sa.text("time_window = 'minute'"),
        postgresql_where=sa.text("time_window = 'minute'"),
    )
    op.create_table(
        "guard_sessions",
        sa.Column("scope", sa.String(540), primary_key=True),
        sa.Column("customer_id", sa.String(256), nullable=False),
        sa.Column("project_id", sa.String(256), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.Column("steps", sa.BigInteger, nullable=False),
        sa.Column("pending", sa.BigInteger, nullable=False),
        sa.Column("settled", sa.BigInteger, nullable=False),
        sa.Column("unguarded", sa.BigInteger, nullable=False),
        sa.Column("minute_starts_at", sa.BigInteger, nullable=False),
        sa.Column("minute_steps", sa.BigInteger, nullable=False),
        sa.Column("last_call", sa.String(256)),
        sa.Column("repeats", sa.BigInteger, nullable=False),
        sa.Column("breaker", sa.String(9), nullable=False),
        sa.Column("opened_by", sa.String(32)),
        sa.Column("opened_at", sa.BigInteger),
        sa.Column("steps_before", sa.BigInteger, nullable=False),
        sa.Column("spend_before", sa.BigInteger, nullable=False),
        sa.Column("probe_hold_id", sa.String(32)),
    )
    op.create_index("guard_sessions_by_customer", "guard_sessions", ["customer_id", "last_at"])
    op.create_table(
        "guard_limits",
        sa.Column("scope", sa.String(540), primary_key=True),
        sa.Column("customer_id", sa.String(256), nullable=False),
        sa.Column("currency", sa.String(3), primary_key=True),
        sa.Column("time_window", sa.String(8), primary_key=True),
        sa.Column("severity", sa.String(4), primary_key=True),
        sa.Column("amount", sa.BigInteger),
        sa.Column("inherits", sa.Boolean, nullable=False),
    )
    op.create_index("guard_limits_by_customer", "guard_limits", ["customer_id"])
    op.create_table(
        "guard_limit_changes",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("scope", sa.String(540), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("time_window", sa.String(8), nullable=False),
        sa.Column("severity", sa.String(4), nullable=False),
        sa.Column("amount", sa.BigInteger),
        sa.Column("inherits", sa.Boolean, nullable=False),
        sa.Column("who", sa.String(256), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "guard_stops",
        sa.Column("scope", sa.String(540), primary_key=True),
        sa.Column("customer_id", sa.String(256), nullable=False),
        sa.Column("kind", sa.String(5), primary_key=True),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("resumes_at", sa.BigInteger),
        sa.Column("who", sa.String(256), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
    )
    op.create_index("guard_stops_by_customer", "guard_stops", ["customer_id"])
    op.create_table(
        "guard_stop_changes",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("scope", sa.String(540), nullable=False),
        sa.Column("kind", sa.String(5), nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("resumes_at", sa.BigInteger),
        sa.Column("who", sa.String(256), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "guard_reviews",
        sa.Column("review_id", sa.String(32), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("scope", sa.String(540), nullable=False),
        sa.Column("customer_id", sa.String(256), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("resumes_at", sa.BigInteger),
        sa.Column("decided_at", sa.BigInteger),
    )
    op.create_index(
        "guard_reviews_open",
        "guard_reviews",
        ["opened_at"],
        sqlite_where=sa.text("decided_at IS NULL"),
        postgresql_where=sa.text("decided_at IS NULL"),
    )
    op.create_table(
        "guard_review_decisions",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("review_id", sa.String(32), sa.ForeignKey("guard_reviews.review_id"), nullable=False),
        sa.Column("decision", sa.String(16), nullable=False),
        sa.Column("amount", sa.BigInteger),
        sa.Column("who", sa.String(256), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "guard_alerts",
        sa.Column("scope", sa.String(540), primary_key=True),
        sa.Column("currency", sa.String(3), primary_key=True),
        sa.Column("time_window", sa.String(8), primary_key=True),
        sa.Column("starts_at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("amount", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("used", sa.BigInteger, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "guard_notices",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger),
        sa.Column("delivered_at", sa.BigInteger),
        sa.Column("last_failure", sa.Text),
    )
    op.create_index(
        "guard_notices_due",
        "guard_notices",
        ["next_attempt_at"],
        sqlite_where=sa.text("delivered_at IS NULL"),
        postgresql_where=sa.text("delivered_at IS NULL"),
    )
    op.create_table(
        "guard_outbox",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("hold_id", sa.String(32), nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("sent_at", sa.BigInteger),
    )
    op.create_index(
        "guard_outbox_unsent",
        "guard_outbox",
        ["id"],
        sqlite_where=sa.text("sent_at IS NULL"),
        postgresql_where=sa.text("sent_at IS NULL"),
    )
    op.create_table(
        "guard_true_ups",
        sa.Column("customer_id", sa.String(256), primary_key=True),
        sa.Column("currency", sa.String(3), primary_key=True),
        sa.Column("reference", sa.String(256), primary_key=True),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "guard_watched_events",
        sa.Column("event_key", sa.String(32), primary_key=True),
        sa.Column("customer_id", sa.String(256), nullable=False),
        sa.Column("counted", sa.Boolean, nullable=False),
        sa.Column("entries", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
    )
    op.create_index("guard_watched_events_by_time", "guard_watched_events", ["recorded_at"])
    op.create_table(
        "guard_positions",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
    )
    for table in (
        "guard_journal",
        "guard_late_settlements",
        "guard_denials",
        "guard_limit_changes",
        "guard_stop_changes",
        "guard_review_decisions",
        "guard_alerts",
        "guard_true_ups",
    ):
        make_append_only(table)
