"""Partition records, rule book uses and the Stripe outbox."""

import sqlalchemy as sa
from alembic import op

from billing_pipeline.control.migrations.append_only import make_append_only

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables and make each of them append-only."""
    _create_lineage()
    _create_stripe_plans()
    _create_stripe_requests()
    for table in (
        "partition_records",
        "rule_book_uses",
        "stripe_objects",
        "stripe_pushes",
        "stripe_push_transitions",
        "stripe_requests",
        "stripe_request_failures",
    ):
        make_append_only(table)


def _create_lineage() -> None:
    op.create_table(
        "partition_records",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("table_name", sa.String(128), nullable=False),
        sa.Column("partition_key", sa.String(256), nullable=False),
        sa.Column("content_hash", sa.String(128), nullable=False),
        sa.Column("row_count", sa.BigInteger, nullable=False),
        sa.Column("snapshot_id", sa.String(64), nullable=False),
        sa.Column("watermark", sa.BigInteger),
        sa.Column("closed", sa.Boolean, nullable=False),
        sa.Column("rule_books", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.Column("run_id", sa.String(128), nullable=False),
    )
    op.create_index(
        "partition_records_by_partition", "partition_records", ["table_name", "partition_key", "id"]
    )
    op.create_table(
        "rule_book_uses",
        sa.Column("version", sa.String(128), primary_key=True),
        sa.Column("content_hash", sa.String(128), nullable=False),
        sa.Column("first_used_at", sa.BigInteger, nullable=False),
    )


def _create_stripe_plans() -> None:
    op.create_table(
        "stripe_objects",
        sa.Column("account", sa.String(128), primary_key=True),
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("our_key", sa.String(256), primary_key=True),
        sa.Column("stripe_id", sa.String(128), nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "stripe_pushes",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("account", sa.String(128), nullable=False),
        sa.Column("customer_id", sa.String(256), nullable=False),
        sa.Column("billing_period", sa.String(10), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("line_count", sa.Integer, nullable=False),
        sa.Column("total_minor", sa.BigInteger, nullable=False),
        sa.Column("lines_hash", sa.String(64), nullable=False),
        sa.Column("planned_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("account", "customer_id", "billing_period", "currency", "revision"),
    )
    op.create_table(
        "stripe_push_transitions",
        sa.Column("push_id", _ROW_ID, sa.ForeignKey("stripe_pushes.id"), primary_key=True),
        sa.Column("step", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("stripe_invoice_id", sa.String(128)),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
    )


def _create_stripe_requests() -> None:
    op.create_table(
        "stripe_requests",
        sa.Column("idempotency_key", sa.String(255), primary_key=True),
        sa.Column("account", sa.String(128), nullable=False),
        sa.Column("operation", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(1024), nullable=False),
        sa.Column("batch", sa.Integer, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("parameters", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("account", "operation", "subject", "batch", "epoch"),
    )
    op.create_table(
        "stripe_request_failures",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column(
            "idempotency_key",
            sa.String(255),
            sa.ForeignKey("stripe_requests.idempotency_key"),
            nullable=False,
        ),
        sa.Column("failure", sa.String(16), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
    )
    op.create_index("stripe_request_failures_by_key", "stripe_request_failures", ["idempotency_key"])
