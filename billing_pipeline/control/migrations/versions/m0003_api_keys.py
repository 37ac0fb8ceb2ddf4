"""API keys: what each may do, its secrets, and when it or one of them ends."""

import sqlalchemy as sa
from alembic import op

from billing_pipeline.control.migrations.append_only import make_append_only

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and make each of them append-only."""
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("rights", sa.Text, nullable=False),
        sa.Column("customers", sa.Text),
        sa.Column("sources", sa.Text),
        sa.Column("events_per_second", sa.Integer),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "api_key_secrets",
        sa.Column("secret_sha256", sa.String(64), primary_key=True),
        sa.Column("key_id", sa.String(32), sa.ForeignKey("api_keys.key_id"), nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "api_key_ends",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True
        ),
        sa.Column("key_id", sa.String(32), sa.ForeignKey("api_keys.key_id"), nullable=False),
        sa.Column("secret_sha256", sa.String(64), sa.ForeignKey("api_key_secrets.secret_sha256")),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
    )
    for table in ("api_keys", "api_key_secrets", "api_key_ends"):
        make_append_only(table)
