"""Invoices: period closes, approvals, credit notes, meter events, and how usage was delivered."""

import sqlalchemy as sa
from alembic import op

from billing_pipeline.control.migrations.append_only import make_append_only

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables; all of them are append-only."""
    op.create_table(
        "period_closes",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("period", sa.String(10), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("report", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
    )
    op.create_index("period_closes_by_period", "period_closes", ["period", "id"])
    op.create_table(
        "invoice_approvals",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("customer_id", sa.String(256), nullable=False),
        sa.Column("billing_period", sa.String(10), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("lines_hash", sa.String(64), nullable=False),
        sa.Column("approved_by", sa.String(256), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
    )
    op.create_index(
        "invoice_approvals_by_invoice", "invoice_approvals", ["customer_id", "billing_period", "currency"]
    )
    op.create_table(
        "stripe_deliveries",
        sa.Column("account", sa.String(128), primary_key=True),
        sa.Column("customer_id", sa.String(256), primary_key=True),
        sa.Column("plan", sa.String(128), primary_key=True),
        sa.Column("billing_period", sa.String(10), primary_key=True),
        sa.Column("delivery", sa.String(16), nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "stripe_synced",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("account", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("our_key", sa.String(256), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
    )
    op.create_index("stripe_synced_by_key", "stripe_synced", ["account", "kind", "our_key", "id"])
    op.create_table(
        "stripe_credit_notes",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("account", sa.String(128), nullable=False),
        sa.Column("customer_id", sa.String(256), nullable=False),
        sa.Column("billing_period", sa.String(10), nullable=False),
        sa.Column("corrects", sa.String(10), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("stripe_invoice_id", sa.String(128), nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("total_minor", sa.BigInteger, nullable=False),
        sa.Column("lines_hash", sa.String(64), nullable=False),
        sa.Column("planned_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("account", "customer_id", "billing_period", "corrects", "currency", "revision"),
    )
    op.create_table(
        "stripe_credit_note_transitions",
        sa.Column("credit_note_id", _ROW_ID, sa.ForeignKey("stripe_credit_notes.id"), primary_key=True),
        sa.Column("step", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("stripe_credit_note_id", sa.String(128)),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "stripe_meter_events",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("account", sa.String(128), nullable=False),
        sa.Column("identifier", sa.String(100), nullable=False),
        sa.Column("event_name", sa.String(100), nullable=False),
        sa.Column("customer_id", sa.String(256), nullable=False),
        sa.Column("plan", sa.String(128), nullable=False),
        sa.Column("charge", sa.String(128), nullable=False),
        sa.Column("meter", sa.String(128), nullable=False),
        sa.Column("dimensions", sa.Text, nullable=False),
        sa.Column("billing_period", sa.String(10), nullable=False),
        sa.Column("usage_day", sa.String(10), nullable=False),
        sa.Column("posting_day", sa.String(10), nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("planned_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("account", "identifier"),
    )
    op.create_index(
        "stripe_meter_events_in_order", "stripe_meter_events", ["account", "customer_id", "event_name", "id"]
    )
    op.create_table(
        "stripe_meter_event_transitions",
        sa.Column("meter_event_id", _ROW_ID, sa.ForeignKey("stripe_meter_events.id"), primary_key=True),
        sa.Column("step", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "stripe_meter_errors",
        sa.Column("account", sa.String(128), primary_key=True),
        sa.Column("error_id", sa.String(128), primary_key=True),
        sa.Column("meter_id", sa.String(128), nullable=False),
        sa.Column("identifier", sa.String(100)),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("reported_at", sa.BigInteger, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
    )
    for table in (
        "period_closes",
        "invoice_approvals",
        "stripe_deliveries",
        "stripe_synced",
        "stripe_credit_notes",
        "stripe_credit_note_transitions",
        "stripe_meter_events",
        "stripe_meter_event_transitions",
        "stripe_meter_errors",
    ):
        make_append_only(table)
