"""Every column that stands in more than one table, described once."""

from dataclasses import replace

from billing_pipeline.schemas.table import Column, ColumnType

DAY, INSTANT, TEXT, WHOLE = ColumnType.DAY, ColumnType.INSTANT, ColumnType.TEXT, ColumnType.WHOLE
QUANTITY, AMOUNT, FLAG, BYTES = ColumnType.QUANTITY, ColumnType.AMOUNT, ColumnType.FLAG, ColumnType.BYTES

RECEIPT = (
    Column("receipt_day", DAY, "First day not yet closed when the record was received; the partition."),
    Column("queue_offset", WHOLE, "Place in the log: dense, from 0, never reused.", at_least=0),
    Column("received_at", INSTANT, "When the record was durably accepted (UTC, microseconds)."),
)

PARSED = (
    Column(
        "source", TEXT, "The producer; with `id` the identity of the event.", nullable=True, max_length=256
    ),
    Column("id", TEXT, "The producer's id of the event.", nullable=True, max_length=128),
    Column("schema_version", WHOLE, "Version of the event contract the record came in.", nullable=True),
    Column(
        "payload_digest", BYTES, "128 bits over the canonical form; equal digests are the same event.", True
    ),
    Column("key_hash", WHOLE, "First 64 bits of MD5 over source, NUL, id (signed).", nullable=True),
    Column("occurred_at", INSTANT, "When the action happened (UTC, microseconds).", nullable=True),
    Column("emitted_at", INSTANT, "When the producer sent it; informative.", nullable=True),
    Column("customer_id", TEXT, "Who pays.", nullable=True, max_length=128),
    Column("project_id", TEXT, "The customer's project.", nullable=True, max_length=128),
    Column("user_id", TEXT, "The customer's own user, where told.", nullable=True),
    Column("unit", TEXT, "The one unit of the quantity.", nullable=True),
    Column("quantity", QUANTITY, "How much, exactly.", nullable=True),
    Column("dimensions", TEXT, "Canonical JSON object of text to text (sorted keys).", nullable=True),
    Column("correlation_id", TEXT, "Request or trace the action belongs to.", nullable=True),
    Column("session_id", TEXT, "Agent run.", nullable=True),
    Column("parent_id", TEXT, "The event or step that caused this one.", nullable=True),
    Column("step", TEXT, "Kind of action: completion, tool_call, agent_step, …", nullable=True),
    Column("billable", FLAG, "Whether it may be charged.", nullable=True),
    Column("reason_code", TEXT, "Why it is not billable, or why it corrects.", nullable=True),
    Column(
        "allocations", TEXT, "JSON array of payers with share, exact quantity and event share.", nullable=True
    ),
    Column("corrects_source", TEXT, "Source of the event a correction refers to.", nullable=True),
    Column("corrects_id", TEXT, "Id of the event a correction refers to.", nullable=True),
    Column("corrects_key_hash", WHOLE, "As key_hash, of the event a correction refers to.", nullable=True),
    Column("action", TEXT, "void, adjust or replace.", nullable=True, one_of=("void", "adjust", "replace")),
    Column("quantity_delta", QUANTITY, "Signed change of an adjust.", nullable=True),
    Column("replacement", TEXT, "JSON object of the fields a replace sets.", nullable=True),
    Column("note", TEXT, "What the corrector wrote.", nullable=True),
)

CONTROL = (
    Column(
        "entity", TEXT, "What changes: customer, project, plan_assignment, credit_grant, …", nullable=True
    ),
    Column("entity_id", TEXT, "Which one: the customer, `customer/…`, or a plan.", nullable=True),
    Column(
        "change",
        TEXT,
        "register, close, assign, end, override, redeem, grant, void or rerate.",
        nullable=True,
    ),
    Column("effective_from", INSTANT, "From when the change holds.", nullable=True),
    Column("details", TEXT, "JSON object with the rest of the change.", nullable=True),
)

BOOKED = (
    Column("posting_day", DAY, "Day into which it is booked: the later of usage day and receipt day."),
    Column("usage_day", DAY, "UTC date of occurred_at."),
    Column("rule_version", TEXT, "Rule book in force when the action occurred.", max_length=64),
)

PART = (
    Column("allocation_index", WHOLE, "Which payer's part of the event, from 0.", at_least=0),
    Column(
        "event_share",
        QUANTITY,
        "The payer's part of the event itself, 1 where nobody shares it; what meters that count add.",
        at_least=0,
    ),
)

METERED = (
    Column("kind", TEXT, "on_time, late or correction.", one_of=("on_time", "late", "correction")),
    Column("meter", TEXT, "What is counted and how, by its name in the rule book."),
    Column(
        "event_count", WHOLE, "Events behind the row; a correction adds what it counts anew, less before."
    ),
)

COMPONENTS = ("usage", "flat_fee", "discount", "minimum", "maximum", "coupon", "invoice_coupon", "credit")
RATED = (
    Column("period_end_day", DAY, "Posting day on which the invoice period ends; the partition."),
    Column("billing_period", DAY, "Start of the invoice period; its name."),
    Column("usage_period", DAY, "Start of the usage period the usage belongs to; its name."),
    Column("plan", TEXT, "Plan in force on the day of usage."),
    Column("charge", TEXT, "The priced quantity, by its name in the plan."),
    Column(
        "component",
        TEXT,
        "What the line is: usage, flat_fee; discount, minimum, maximum or coupon, taken from lines of the same usage "
        "period; invoice_coupon or credit, taken from the invoice.",
        one_of=COMPONENTS,
    ),
    Column(
        "term",
        TEXT,
        "Which discount, minimum, maximum, coupon, credit grant or contract override made the line; trial for usage "
        "in a free trial; empty for the plan's own price.",
    ),
    Column("amount", AMOUNT, "Unrounded amount in the currency's major unit."),
    Column("amount_minor", WHOLE, "Rounded whole of the line key, in the currency's minor unit."),
    Column("booked_before_minor", WHOLE, "What earlier invoices have booked for the same line key."),
    Column("quantity_before", QUANTITY, "The line key's quantity, as the last earlier invoice knew it."),
    Column(
        "reason",
        TEXT,
        "Why the line adjusts what was booked: late_usage, correction, late_usage_and_correction, rerating, "
        "blocked_before where the invoice of its period was held back, credit_given_back where an invoice below zero "
        "gives a grant back what it paid, or other_usage where other usage or terms of the period moved it; empty "
        "where it adjusts nothing.",
    ),
    Column("rated_as_of", DAY, "The day whose knowledge of contracts rates the usage period."),
    Column("currency", TEXT, "ISO 4217, lower case.", max_length=3),
    Column("line_id", TEXT, "Stable id of the invoice line."),
    Column("evidence_digest", TEXT, "SHA-256 (hex) over the line and the rollup rows behind it."),
    Column(
        "rollup_partitions",
        TEXT,
        "JSON array of the posting days of the usage_rollups rows, of the line's rule version, that its quantity rests "
        "on; [] for lines of no usage.",
    ),
    Column("description", TEXT, "The line, for people."),
    Column("tiers", TEXT, "JSON array: how the amount came about, tier by tier."),
)


def required(*columns: Column) -> tuple[Column, ...]:
    """The same columns where a value must be there."""
    return tuple(replace(column, nullable=False) for column in columns)


def optional(*columns: Column) -> tuple[Column, ...]:
    """The same columns where a value may be missing."""
    return tuple(replace(column, nullable=True) for column in columns)
