"""The tables of the control database. Facts are only ever added: triggers refuse UPDATE and DELETE.

Instants are UTC microseconds since the epoch. Documents (parameters, rule books) are JSON text, so that the
same bytes come back on every database.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData()

# SQLite numbers rows by itself only for a column whose type is exactly INTEGER.
ROW_ID = BigInteger().with_variant(Integer, "sqlite")

PARTITION_RECORDS = Table(
    "partition_records",
    METADATA,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("table_name", String(128), nullable=False),
    Column("partition_key", String(256), nullable=False),
    Column("content_hash", String(128), nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("snapshot_id", String(64), nullable=False),
    Column("watermark", BigInteger),
    Column("closed", Boolean, nullable=False),
    Column("rule_books", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("run_id", String(128), nullable=False),
    Index("partition_records_by_partition", "table_name", "partition_key", "id"),
)

RULE_BOOK_USES = Table(
    "rule_book_uses",
    METADATA,
    Column("version", String(128), primary_key=True),
    Column("content_hash", String(128), nullable=False),
    Column("first_used_at", BigInteger, nullable=False),
)

LANDINGS = Table(
    "landings",
    METADATA,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("previous_chain", String(64), nullable=False),
    Column("chain", String(64), nullable=False),
    Column("first_offset", BigInteger, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("files", Text, nullable=False),
    Column("snapshot_id", String(64), nullable=False),
    Column("found", Boolean, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    UniqueConstraint("chain"),
)

STRIPE_OBJECTS = Table(
    "stripe_objects",
    METADATA,
    Column("account", String(128), primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("our_key", String(256), primary_key=True),
    Column("stripe_id", String(128), nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)

STRIPE_PUSHES = Table(
    "stripe_pushes",
    METADATA,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("account", String(128), nullable=False),
    Column("customer_id", String(256), nullable=False),
    Column("billing_period", String(10), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("plan", Text, nullable=False),
    Column("line_count", Integer, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("lines_hash", String(64), nullable=False),
    Column("planned_at", BigInteger, nullable=False),
    UniqueConstraint("account", "customer_id", "billing_period", "currency", "revision"),
)

STRIPE_PUSH_TRANSITIONS = Table(
    "stripe_push_transitions",
    METADATA,
    Column("push_id", ROW_ID, ForeignKey("stripe_pushes.id"), primary_key=True),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("state", String(16), nullable=False),
    Column("stripe_invoice_id", String(128)),
    Column("detail", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)

STRIPE_REQUESTS = Table(
    "stripe_requests",
    METADATA,
    Column("idempotency_key", String(255), primary_key=True),
    Column("account", String(128), nullable=False),
    Column("operation", String(32), nullable=False),
    Column("subject", String(1024), nullable=False),
    Column("batch", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("parameters", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    UniqueConstraint("account", "operation", "subject", "batch", "epoch"),
)

STRIPE_REQUEST_FAILURES = Table(
    "stripe_request_failures",
    METADATA,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("idempotency_key", String(255), ForeignKey("stripe_requests.idempotency_key"), nullable=False),
    Column("failure", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Index("stripe_request_failures_by_key", "idempotency_key"),
)

API_KEYS = Table(
    "api_keys",
    METADATA,
    Column("key_id", String(32), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("rights", Text, nullable=False),
    Column("customers", Text),
    Column("sources", Text),
    Column("events_per_second", Integer),
    Column("expires_at", BigInteger),
    Column("recorded_at", BigInteger, nullable=False),
    UniqueConstraint("name"),
)

API_KEY_SECRETS = Table(
    "api_key_secrets",
    METADATA,
    Column("secret_sha256", String(64), primary_key=True),
    Column("key_id", String(32), ForeignKey("api_keys.key_id"), nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)

API_KEY_ENDS = Table(
    "api_key_ends",
    METADATA,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("key_id", String(32), ForeignKey("api_keys.key_id"), nullable=False),
    Column("secret_sha256", String(64), ForeignKey("api_key_secrets.secret_sha256")),
    Column("ends_at", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)
