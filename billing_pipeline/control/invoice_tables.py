"""The control database's tables of period closes, approvals, credit notes and meter events; see `control.tables`."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from billing_pipeline.control.tables import METADATA, ROW_ID

PERIOD_CLOSES = Table(
    "period_closes",
    METADATA,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("period", String(10), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("report", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Index("period_closes_by_period", "period", "id"),
)

INVOICE_APPROVALS = Table(
    "invoice_approvals",
    METADATA,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("customer_id", String(256), nullable=False),
    Column("billing_period", String(10), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("lines_hash", String(64), nullable=False),
    Column("approved_by", String(256), nullable=False),
    Column("why", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Index("invoice_approvals_by_invoice", "customer_id", "billing_period", "currency"),
)

STRIPE_DELIVERIES = Table(
    "stripe_deliveries",
    METADATA,
    Column("account", String(128), primary_key=True),
    Column("customer_id", String(256), primary_key=True),
    Column("plan", String(128), primary_key=True),
    Column("billing_period", String(10), primary_key=True),
    Column("delivery", String(16), nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)

STRIPE_SYNCED = Table(
    "stripe_synced",
    METADATA,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("account", String(128), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("our_key", String(256), nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Index("stripe_synced_by_key", "account", "kind", "our_key", "id"),
)

STRIPE_CREDIT_NOTES = Table(
    "stripe_credit_notes",
    METADATA,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("account", String(128), nullable=False),
    Column("customer_id", String(256), nullable=False),
    Column("billing_period", String(10), nullable=False),
    Column("corrects", String(10), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("stripe_invoice_id", String(128), nullable=False),
    Column("plan", Text, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("lines_hash", String(64), nullable=False),
    Column("planned_at", BigInteger, nullable=False),
    UniqueConstraint("account", "customer_id", "billing_period", "corrects", "currency", "revision"),
)

STRIPE_CREDIT_NOTE_TRANSITIONS = Table(
    "stripe_credit_note_transitions",
    METADATA,
    Column("credit_note_id", ROW_ID, ForeignKey("stripe_credit_notes.id"), primary_key=True),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("state", String(16), nullable=False),
    Column("stripe_credit_note_id", String(128)),
    Column("detail", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)

STRIPE_METER_EVENTS = Table(
    "stripe_meter_events",
    METADATA,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("account", String(128), nullable=False),
    Column("identifier", String(100), nullable=False),
    Column("event_name", String(100), nullable=False),
    Column("customer_id", String(256), nullable=False),
    Column("plan", String(128), nullable=False),
    Column("charge", String(128), nullable=False),
    Column("meter", String(128), nullable=False),
    Column("dimensions", Text, nullable=False),
    Column("billing_period", String(10), nullable=False),
    Column("usage_day", String(10), nullable=False),
    Column("posting_day", String(10), nullable=False),
    Column("value", BigInteger, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("planned_at", BigInteger, nullable=False),
    UniqueConstraint("account", "identifier"),
    Index("stripe_meter_events_in_order", "account", "customer_id", "event_name", "id"),
)

STRIPE_METER_EVENT_TRANSITIONS = Table(
    "stripe_meter_event_transitions",
    METADATA,
    Column("meter_event_id", ROW_ID, ForeignKey("stripe_meter_events.id"), primary_key=True),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("state", String(16), nullable=False),
    Column("detail", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)

STRIPE_METER_ERRORS = Table(
    "stripe_meter_errors",
    METADATA,
    Column("account", String(128), primary_key=True),
    Column("error_id", String(128), primary_key=True),
    Column("meter_id", String(128), nullable=False),
    Column("identifier", String(100)),
    Column("code", String(64), nullable=False),
    Column("message", Text, nullable=False),
    Column("reported_at", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)
