"""The tables of the lake, in the order of the pipeline."""

from billing_pipeline.contract.reason_codes import CorrectionOutcome
from billing_pipeline.schemas.columns import (
    BOOKED,
    BYTES,
    CONTROL,
    DAY,
    INSTANT,
    METERED,
    PARSED,
    PART,
    QUANTITY,
    RATED,
    RECEIPT,
    TEXT,
    WHOLE,
    optional,
    required,
)
from billing_pipeline.schemas.invoice_causes import CAUSES as INVOICE_CAUSES
from billing_pipeline.schemas.invoice_causes import COMPARISONS, STATUSES
from billing_pipeline.schemas.ledger_causes import CAUSES
from billing_pipeline.schemas.table import Column, Table, pick

PAYLOAD = Column("payload", BYTES, "The bytes as they came.")
FAULT = (
    Column("fault_code", TEXT, "Why the contract refuses the record.", nullable=True),
    Column("fault_field", TEXT, "Field of the first fault.", nullable=True),
    Column("fault_value", TEXT, "Its value.", nullable=True),
    Column("fault_message", TEXT, "All faults, and what to do.", nullable=True),
)
REQUEUED = (
    Column(
        "first_received_at",
        INSTANT,
        "Of a requeued record: when its bytes were received first; it is too late only if that was.",
        nullable=True,
    ),
    Column(
        "requeued_offset",
        WHOLE,
        "Of a requeued record: the offset of the refused record that it sends again; each is sent again once.",
        nullable=True,
        at_least=0,
    ),
)
KINDS = ("usage", "correction", "control", "invalid")

RAW_USAGE_EVENTS = Table(
    name="raw_usage_events",
    stage="ingest",
    description="Everything ever accepted, in one order, as it came, and what was parsed from it once. "
    "Append-only: nothing here is ever changed or removed.",
    columns=(
        *RECEIPT,
        Column("producer", TEXT, "Who handed the record in."),
        *REQUEUED,
        Column("kind", TEXT, "usage, correction, control or invalid.", one_of=KINDS),
        *PARSED,
        *CONTROL,
        *FAULT,
        PAYLOAD,
    ),
    partition_by=("receipt_day",),
    order_by=("queue_offset",),
    append_only=True,
)

REGISTRY_CHANGES = Table(
    name="registry_changes",
    stage="ingest",
    description="Changes of customers, projects and plan assignments, as control records of the same log: "
    "an event sees exactly the changes of lower offsets.",
    columns=(*RECEIPT, *required(*pick(CONTROL, "entity entity_id change effective_from details"))),
    partition_by=("receipt_day",),
    order_by=("queue_offset",),
    hash_rows=False,
    upstream=("raw_usage_events",),
)

_RAW, _VALID = "raw_usage_events", "valid_usage_events"


def _counted(*columns: str) -> tuple[str, ...]:
    """Columns of what counts: events, and what corrections make of them."""
    return tuple(
        f"{table}.{column}" for column in columns for table in ("unique_usage_events", "usage_corrections")
    )


_USAGE = "user_id occurred_at emitted_at unit quantity dimensions correlation_id session_id parent_id step billable"
_CORRECTS = "corrects_source corrects_id corrects_key_hash action quantity_delta replacement note"

VALID_USAGE_EVENTS = Table(
    name="valid_usage_events",
    stage="metering",
    description="Records that keep the contract and refer to known customers, projects, units and rules; "
    "usage events and corrections, before identity is decided.",
    columns=(
        pick(RECEIPT, "receipt_day")[0],
        *optional(*pick(BOOKED, "posting_day usage_day")),
        *pick(RECEIPT, "queue_offset received_at"),
        Column("kind", TEXT, "usage or correction.", one_of=("usage", "correction")),
        *required(*pick(PARSED, "source id")),
        *pick(PARSED, f"customer_id project_id {_USAGE} reason_code schema_version"),
        *optional(*pick(BOOKED, "rule_version")),
        *required(*pick(PARSED, "payload_digest key_hash")),
        *pick(PARSED, f"allocations {_CORRECTS}"),
    ),
    partition_by=("receipt_day",),
    order_by=("queue_offset",),
    upstream=("raw_usage_events", "registry_changes"),
    derived_from={
        "posting_day": (f"{_RAW}.occurred_at", f"{_RAW}.receipt_day"),
        "usage_day": (f"{_RAW}.occurred_at",),
        "rule_version": (f"{_RAW}.occurred_at",),
    },
)

REJECTED_USAGE_EVENTS = Table(
    name="rejected_usage_events",
    stage="metering",
    description="Records that cannot be billed, each with the reason code, the field, its value and what to do.",
    columns=(
        *RECEIPT,
        Column("reason_code", TEXT, "Why it was rejected; see the reason codes."),
        Column("field", TEXT, "Field of the fault.", nullable=True),
        Column("value", TEXT, "Its value.", nullable=True),
        Column("message", TEXT, "What is wrong and what to do."),
        PAYLOAD,
    ),
    partition_by=("receipt_day",),
    order_by=("queue_offset",),
    upstream=("raw_usage_events", "registry_changes"),
    derived_from={
        "reason_code": (
            *(
                f"{_RAW}.{column}"
                for column in ("fault_code", "occurred_at", "received_at", "unit", "allocations")
            ),
            *(f"{_RAW}.{column}" for column in ("customer_id", "project_id")),
            "registry_changes.entity_id",
            "registry_changes.effective_from",
        ),
        "field": (f"{_RAW}.fault_field",),
        "value": (f"{_RAW}.fault_value",),
        "message": (f"{_RAW}.fault_message",),
    },
)

USAGE_EVENT_KEYS = Table(
    name="usage_event_keys",
    stage="metering",
    description="One small file per day with the key of every valid record, sorted by hash: "
    "how identity is decided against all history without reading it.",
    columns=(
        pick(RECEIPT, "receipt_day")[0],
        *required(*pick(PARSED, "key_hash")),
        *pick(RECEIPT, "queue_offset"),
        *required(*pick(PARSED, "payload_digest")),
    ),
    partition_by=("receipt_day",),
    order_by=("key_hash", "queue_offset"),
    upstream=("valid_usage_events",),
)

USAGE_CORRECTION_KEYS = Table(
    name="usage_correction_keys",
    stage="metering",
    description="The keys of the day's corrections and of what they correct: how all corrections of an event are "
    "found, whenever they came.",
    columns=(
        *pick(RECEIPT, "receipt_day queue_offset"),
        *required(*pick(PARSED, "key_hash source id corrects_key_hash corrects_source corrects_id")),
    ),
    partition_by=("receipt_day",),
    order_by=("queue_offset",),
    upstream=("valid_usage_events",),
)

UNIQUE_USAGE_EVENTS = Table(
    name="unique_usage_events",
    stage="metering",
    description="The usage events that count, of every (source, id) the first in the log; a row for each payer, "
    "with the payer's part of the quantity.",
    columns=(
        pick(RECEIPT, "receipt_day")[0],
        *pick(BOOKED, "posting_day usage_day"),
        *pick(RECEIPT, "queue_offset received_at"),
        *required(*pick(PARSED, "source id customer_id project_id")),
        *pick(PARSED, "user_id"),
        *required(*pick(PARSED, "occurred_at")),
        *pick(PARSED, "emitted_at"),
        *required(*pick(PARSED, "unit quantity dimensions correlation_id")),
        *pick(PARSED, "session_id parent_id step"),
        *required(*pick(PARSED, "billable")),
        *pick(PARSED, "reason_code"),
        *required(*pick(PARSED, "schema_version")),
        *pick(BOOKED, "rule_version"),
        *required(*pick(PARSED, "payload_digest")),
        *PART,
    ),
    partition_by=("receipt_day",),
    order_by=("queue_offset", "allocation_index"),
    upstream=("valid_usage_events", "usage_event_keys"),
    derived_from={
        "customer_id": (f"{_VALID}.customer_id", f"{_VALID}.allocations"),
        "project_id": (f"{_VALID}.project_id", f"{_VALID}.allocations"),
        "quantity": (f"{_VALID}.quantity", f"{_VALID}.allocations"),
        "allocation_index": (f"{_VALID}.allocations",),
        "event_share": (f"{_VALID}.allocations",),
    },
)

DUPLICATE_USAGE_EVENTS = Table(
    name="duplicate_usage_events",
    stage="metering",
    description="Records whose (source, id) had been received before: redeliveries, and conflicts with other content. "
    "They do not bill.",
    columns=(
        *pick(RECEIPT, "receipt_day queue_offset"),
        Column("outcome", TEXT, "duplicate or conflict.", one_of=("duplicate", "conflict")),
        Column("counted_queue_offset", WHOLE, "Offset of the record that counted.", at_least=0),
        Column("counted_receipt_day", DAY, "Its receipt day."),
        *required(*pick(PARSED, "source id")),
        Column("kind", TEXT, "usage or correction.", one_of=("usage", "correction")),
        *pick(PARSED, "customer_id project_id"),
    ),
    partition_by=("receipt_day",),
    order_by=("queue_offset",),
    upstream=("valid_usage_events", "usage_event_keys"),
    derived_from={
        "outcome": ("usage_event_keys.payload_digest",),
        "counted_queue_offset": ("usage_event_keys.queue_offset",),
        "counted_receipt_day": ("usage_event_keys.receipt_day",),
    },
)

USAGE_CORRECTIONS = Table(
    name="usage_corrections",
    stage="metering",
    description="Corrections, what became of each, and what an applied one books: a row with sign -1 for each payer's "
    "part of the event as it was, one with sign +1 for each part as it is now. A refused one has one row, sign 0.",
    columns=(
        pick(RECEIPT, "receipt_day")[0],
        *optional(*pick(BOOKED, "posting_day usage_day")),
        *pick(RECEIPT, "queue_offset received_at"),
        *required(*pick(PARSED, "source id corrects_source corrects_id")),
        Column(
            "corrected_queue_offset",
            WHOLE,
            "Offset of the corrected event; missing where none was found.",
            nullable=True,
            at_least=0,
        ),
        *required(*pick(PARSED, "action")),
        Column(
            "outcome",
            TEXT,
            "applied, or why it was refused.",
            one_of=tuple(outcome.value for outcome in CorrectionOutcome),
        ),
        *required(*pick(PARSED, "reason_code")),
        *pick(PARSED, "quantity_delta replacement note correlation_id"),
        Column("sign", WHOLE, "-1: as the event was; +1: as it is now; 0: refused.", at_least=-1),
        *optional(*pick(BOOKED, "rule_version")),
        *pick(PARSED, "customer_id project_id unit quantity dimensions billable"),
        *optional(*PART),
    ),
    partition_by=("receipt_day",),
    order_by=("queue_offset", "sign", "allocation_index"),
    upstream=("valid_usage_events", "usage_event_keys", "usage_correction_keys", "registry_changes"),
    derived_from={
        "posting_day": (f"{_VALID}.usage_day", f"{_VALID}.receipt_day"),
        "corrected_queue_offset": (
            "usage_correction_keys.corrects_key_hash",
            "usage_event_keys.queue_offset",
        ),
        "outcome": (
            f"{_VALID}.action",
            f"{_VALID}.quantity",
            f"{_VALID}.quantity_delta",
            "registry_changes.entity_id",
        ),
        "sign": (f"{_VALID}.action",),
        "quantity": (f"{_VALID}.quantity", f"{_VALID}.quantity_delta", f"{_VALID}.replacement"),
        "allocation_index": (f"{_VALID}.allocations",),
        "event_share": (f"{_VALID}.allocations", f"{_VALID}.action"),
        **{
            column: (f"{_VALID}.{column}", f"{_VALID}.replacement")
            for column in ("customer_id", "project_id", "unit", "dimensions", "billable")
        },
    },
)

USAGE_ROLLUPS = Table(
    name="usage_rollups",
    stage="metering",
    description="Metered quantity by customer, project, meter, dimensions and day, under the rules in force "
    "when the usage occurred. Never rewritten once its day is closed.",
    columns=(
        *BOOKED,
        *pick(METERED, "kind"),
        *required(*pick(PARSED, "customer_id project_id")),
        *pick(METERED, "meter"),
        *required(*pick(PARSED, "unit dimensions quantity")),
        *pick(METERED, "event_count"),
    ),
    partition_by=("posting_day", "rule_version"),
    order_by=("usage_day", "kind", "customer_id", "project_id", "meter", "unit", "dimensions"),
    hash_rows=True,
    upstream=("unique_usage_events", "usage_corrections"),
    derived_from={
        "kind": (*_counted("posting_day", "usage_day"), "usage_corrections.sign"),
        "meter": _counted("unit", "dimensions"),
        "quantity": (*_counted("quantity", "event_share", "billable", "unit"), "usage_corrections.sign"),
        "event_count": (*_counted("event_share"), "usage_corrections.sign"),
    },
)

RESTATED_ROLLUPS = Table(
    name="restated_rollups",
    stage="metering",
    description="Metered quantity by usage day as known now: the day's rollups and whatever was posted for it later. "
    "Made anew when late events and corrections come.",
    columns=(
        *pick(BOOKED, "usage_day rule_version"),
        *required(*pick(PARSED, "customer_id project_id")),
        *pick(METERED, "meter"),
        *required(*pick(PARSED, "unit dimensions quantity")),
        *pick(METERED, "event_count"),
    ),
    partition_by=("usage_day",),
    order_by=("rule_version", "customer_id", "project_id", "meter", "unit", "dimensions"),
    hash_rows=True,
    upstream=("usage_rollups",),
)

UNMETERED_USAGE = Table(
    name="unmetered_usage",
    stage="metering",
    description="Billable usage that no meter of its rule version takes; it blocks its customer's invoice.",
    columns=(
        *BOOKED,
        *required(*pick(PARSED, "customer_id project_id unit dimensions quantity")),
        *pick(METERED, "event_count"),
    ),
    partition_by=("posting_day",),
    order_by=("rule_version", "usage_day", "customer_id", "project_id", "unit", "dimensions"),
    hash_rows=True,
    upstream=("unique_usage_events", "usage_corrections"),
    derived_from={
        "quantity": (*_counted("quantity", "billable"), "usage_corrections.sign"),
        "event_count": (*_counted("event_share"), "usage_corrections.sign"),
    },
)

_LINE_KEY = (
    *pick(RATED, "period_end_day billing_period"),
    *required(*pick(PARSED, "customer_id project_id")),
    *pick(RATED, "plan charge component term"),
    *pick(METERED, "meter"),
    *required(*pick(PARSED, "unit dimensions")),
    *pick(BOOKED, "rule_version"),
    *pick(RATED, "usage_period"),
)

RATED_CHARGES = Table(
    name="rated_charges",
    stage="rating",
    description="What each customer's usage costs: one row per line key, the rounded whole of its usage period "
    "and what earlier invoices have booked of it.",
    columns=(
        *_LINE_KEY,
        *required(*pick(PARSED, "quantity")),
        *pick(
            RATED,
            "amount amount_minor booked_before_minor quantity_before reason rated_as_of currency line_id "
            "evidence_digest rollup_partitions description tiers",
        ),
    ),
    partition_by=("period_end_day",),
    order_by=("customer_id", "currency", "line_id"),
    hash_rows=True,
    upstream=("usage_rollups", "registry_changes"),
    derived_from={
        "period_end_day": ("usage_rollups.posting_day",),
        "billing_period": ("usage_rollups.posting_day", "registry_changes.details"),
        "usage_period": ("usage_rollups.usage_day", "registry_changes.details"),
        "plan": ("registry_changes.details", "registry_changes.effective_from"),
        "amount": ("usage_rollups.quantity",),
        "amount_minor": ("usage_rollups.quantity",),
        "booked_before_minor": ("usage_rollups.quantity",),
        "quantity_before": ("usage_rollups.quantity",),
        "reason": ("usage_rollups.kind", "registry_changes.change"),
        "rated_as_of": ("usage_rollups.posting_day", "registry_changes.details"),
        "evidence_digest": ("usage_rollups.usage_day", "usage_rollups.quantity", "usage_rollups.event_count"),
        "rollup_partitions": ("usage_rollups.posting_day",),
    },
)

RATED_PERIODS = Table(
    name="rated_periods",
    stage="rating",
    description="Which usage periods each invoice has rated, and by whose knowledge: contracts that were changed later "
    "act on a rated period only through a recorded re-rating.",
    columns=(
        *pick(RATED, "period_end_day billing_period"),
        *required(*pick(PARSED, "customer_id")),
        *pick(RATED, "usage_period rated_as_of"),
        Column("rules", TEXT, "Version whose prices a re-rating has set.", nullable=True),
        Column("rerated_by", TEXT, "Who had the period re-rated.", nullable=True),
        Column("rerated_why", TEXT, "Why.", nullable=True),
    ),
    partition_by=("period_end_day",),
    order_by=("customer_id", "usage_period"),
    hash_rows=True,
    upstream=("usage_rollups", "registry_changes"),
    derived_from={
        "period_end_day": ("usage_rollups.posting_day",),
        "billing_period": ("usage_rollups.posting_day", "registry_changes.details"),
        "customer_id": ("usage_rollups.customer_id", "registry_changes.entity_id"),
        "usage_period": ("usage_rollups.usage_day", "registry_changes.details"),
        "rated_as_of": ("usage_rollups.posting_day", "registry_changes.details"),
        "rules": ("registry_changes.details",),
        "rerated_by": ("registry_changes.details",),
        "rerated_why": ("registry_changes.details",),
    },
)

BLOCKED_INVOICES = Table(
    name="blocked_invoices",
    stage="rating",
    description="Customers whose invoice is held back, and why; nobody else's is.",
    columns=(
        *pick(RATED, "period_end_day billing_period"),
        *required(*pick(PARSED, "customer_id")),
        Column("reason_code", TEXT, "unpriced_usage, unmetered_usage or conflict."),
        *pick(RATED, "usage_period"),
        Column("message", TEXT, "Which usage, under which rules, and what to do."),
    ),
    partition_by=("period_end_day",),
    order_by=("customer_id", "usage_period", "reason_code", "message"),
    hash_rows=True,
    upstream=("usage_rollups", "unmetered_usage", "registry_changes", "duplicate_usage_events"),
    derived_from={
        "period_end_day": ("usage_rollups.posting_day",),
        "billing_period": ("usage_rollups.posting_day", "registry_changes.details"),
        "usage_period": ("usage_rollups.usage_day", "registry_changes.details"),
        "customer_id": (
            "usage_rollups.customer_id",
            "unmetered_usage.customer_id",
            "duplicate_usage_events.customer_id",
        ),
        "reason_code": (
            "usage_rollups.meter",
            "unmetered_usage.unit",
            "duplicate_usage_events.outcome",
        ),
    },
)

INVOICE_LINES = Table(
    name="invoice_lines",
    stage="invoicing",
    description="The lines of each customer's invoice; an invoice is the sum of its rounded lines.",
    columns=(
        *_LINE_KEY,
        Column(
            "kind",
            TEXT,
            "adjustment of an earlier usage period, or else usage.",
            one_of=("usage", "adjustment"),
        ),
        *required(*pick(PARSED, "quantity")),
        *pick(RATED, "amount"),
        Column("amount_minor", WHOLE, "What this line bills, in the currency's minor unit."),
        *pick(
            RATED,
            "booked_before_minor quantity_before reason rated_as_of currency line_id evidence_digest "
            "rollup_partitions description tiers",
        ),
    ),
    partition_by=("period_end_day",),
    order_by=("customer_id", "currency", "line_id"),
    hash_rows=True,
    upstream=("rated_charges",),
    derived_from={
        "amount_minor": ("rated_charges.amount_minor", "rated_charges.booked_before_minor"),
        "kind": ("rated_charges.usage_period", "rated_charges.billing_period"),
    },
)

ANOMALY_REPORT = Table(
    name="anomaly_report",
    stage="guard",
    description="Each day's usage by customer, project and meter beside what was to be expected of it: by the days "
    "before, and by the same days of the week. Usage booked on its own day alone counts.",
    columns=(
        *pick(BOOKED, "posting_day"),
        *required(*pick(PARSED, "customer_id project_id")),
        *pick(METERED, "meter"),
        *required(*pick(PARSED, "unit")),
        Column("actual", QUANTITY, "How much was used; 0 where usage was to be expected."),
        Column(
            "expected",
            QUANTITY,
            "The median of the days compared; empty where there are too few.",
            nullable=True,
        ),
        Column("threshold", QUANTITY, "More than this is of high severity.", nullable=True),
        Column(
            "deviation",
            QUANTITY,
            "How many robust deviations above what was expected, to a tenth; below it, negative.",
            nullable=True,
        ),
        Column("history_days", WHOLE, "How many days it was compared with.", at_least=0),
        Column(
            "severity",
            TEXT,
            "high above the threshold; low half way to it, or below a quarter of the least of the days compared.",
            one_of=("none", "low", "high"),
        ),
        Column(
            "decision",
            TEXT,
            "paused where velocity paused the customer or project on the day; else reported, or none.",
            one_of=("none", "reported", "paused"),
        ),
    ),
    partition_by=("posting_day",),
    order_by=("customer_id", "project_id", "meter", "unit"),
    hash_rows=True,
    upstream=("usage_rollups",),
    derived_from={
        "actual": ("usage_rollups.quantity", "usage_rollups.kind"),
        **dict.fromkeys(
            ("expected", "threshold", "deviation", "history_days", "severity", "decision"),
            ("usage_rollups.quantity", "usage_rollups.kind", "usage_rollups.posting_day"),
        ),
    },
)

_PRICED_EVENTS = _counted("quantity", "unit", "dimensions", "customer_id", "usage_day")


_RATED_DAY = ("usage_rollups.quantity", "usage_rollups.usage_day", "registry_changes.details")


def _nano(name: str, description: str) -> Column:
    return Column(name, WHOLE, f"{description} Nano-units.")


LEDGER_RECONCILIATION = Table(
    name="ledger_reconciliation",
    stage="guard",
    description="What the guard settled on a usage day beside what was metered and rated for it, as known when the "
    "partition was made, and the difference by cause; the causes add up to it. Made anew when usage of the day is "
    "posted. Only of customers that the guard knows.",
    columns=(
        *pick(BOOKED, "usage_day"),
        *required(*pick(PARSED, "customer_id")),
        *pick(RATED, "currency"),
        _nano("guard_settled", "What holds granted on the day were settled at, late ones too."),
        _nano("rated", "What the day adds to its usage period: usage, discounts, coupons and maximums."),
        _nano("difference", "Rated less settled: what is due beyond what the guard knew."),
        *(_nano(name, f"Cause: {meaning}.") for name, meaning in CAUSES.items()),
        _nano("overrun", "What was settled above the holds."),
        _nano("overdraft", "What of that no credit was there for."),
        Column("holds", WHOLE, "Settled holds.", at_least=0),
        Column("events", WHOLE, "Billable events of the day in the log, and corrected rows.", at_least=0),
    ),
    partition_by=("usage_day",),
    order_by=("customer_id", "currency"),
    hash_rows=True,
    upstream=("unique_usage_events", "usage_corrections", "usage_rollups", "registry_changes"),
    derived_from={
        **dict.fromkeys(("guard_settled", "settled_by_amount", "overrun", "overdraft", "holds"), ()),
        **dict.fromkeys(
            ("rated", "discount", "rounding"),
            ("usage_rollups.quantity", "usage_rollups.usage_day", "registry_changes.details"),
        ),
        **dict.fromkeys(
            ("difference", "tier_position", "unexplained"), (*_PRICED_EVENTS, "usage_rollups.quantity")
        ),
        "unguarded": (*_PRICED_EVENTS, "unique_usage_events.source", "unique_usage_events.id"),
        "late": (*_PRICED_EVENTS, "unique_usage_events.posting_day"),
        "corrected": (*_PRICED_EVENTS, "usage_corrections.sign"),
        "conflicting": (*_PRICED_EVENTS, "unique_usage_events.source", "unique_usage_events.id"),
        "not_metered_yet": ("unique_usage_events.source", "unique_usage_events.id"),
        "repriced": ("registry_changes.details",),
        "events": _counted("billable", "usage_day"),
    },
)

_COMPARED = (
    *_counted("quantity", "event_share", "billable"),
    "usage_rollups.quantity",
    "rated_charges.quantity",
    "rated_charges.amount_minor",
    "rated_charges.booked_before_minor",
    "invoice_lines.amount_minor",
)

RECONCILIATION_REPORT = Table(
    name="reconciliation_report",
    stage="invoicing",
    description="Every invoice period that ended on a day, followed from events over rollups, charges and invoice "
    "lines to Stripe: what two neighbours say of the same customer, and why they differ. As Stripe answered when the "
    "partition was made.",
    columns=(
        *pick(RATED, "period_end_day billing_period"),
        *required(*pick(PARSED, "customer_id")),
        Column("currency", TEXT, "Of amounts; empty where quantities are compared.", max_length=3),
        Column("comparison", TEXT, "Which two neighbours.", one_of=COMPARISONS),
        Column("usage_period", DAY, "Of charged quantities: the usage period.", nullable=True),
        Column("meter", TEXT, "Of quantities: the meter; empty for amounts, and for usage that none takes."),
        Column("unit", TEXT, "The meter's unit; `minor` for amounts in the currency's minor unit."),
        Column("expected", QUANTITY, "What the first of the two says."),
        Column("found", QUANTITY, "What the second says."),
        Column("difference", QUANTITY, "found less expected."),
        Column("cause", TEXT, "Why they differ, or what the row is about.", one_of=("", *INVOICE_CAUSES)),
        Column(
            "status",
            TEXT,
            "equal; explained by its cause; person where somebody must act; unexplained: a fault.",
            one_of=STATUSES,
        ),
        Column("reference", TEXT, "The object in Stripe that the row is about."),
        Column("message", TEXT, "Which lines, and what to do."),
    ),
    partition_by=("period_end_day",),
    order_by=(
        *(
            "customer_id",
            "billing_period",
            "comparison",
            "currency",
            "usage_period",
            "meter",
            "unit",
            "cause",
        ),
        *("reference", "expected", "found", "message"),
    ),
    hash_rows=True,
    upstream=(
        *("unique_usage_events", "usage_corrections", "usage_rollups", "unmetered_usage"),
        *("rated_charges", "rated_periods", "blocked_invoices", "invoice_lines", "registry_changes"),
    ),
    derived_from={
        "period_end_day": ("rated_charges.period_end_day", "blocked_invoices.period_end_day"),
        "billing_period": ("registry_changes.details",),
        "comparison": (),
        "unit": ("usage_rollups.unit", "rated_charges.unit"),
        "expected": _COMPARED,
        "found": _COMPARED,
        "difference": _COMPARED,
        "cause": (*_COMPARED, "blocked_invoices.reason_code", "registry_changes.details"),
        "status": _COMPARED,
        "reference": (),
    },
)

TABLES = (
    RAW_USAGE_EVENTS,
    REGISTRY_CHANGES,
    VALID_USAGE_EVENTS,
    REJECTED_USAGE_EVENTS,
    USAGE_EVENT_KEYS,
    USAGE_CORRECTION_KEYS,
    UNIQUE_USAGE_EVENTS,
    DUPLICATE_USAGE_EVENTS,
    USAGE_CORRECTIONS,
    USAGE_ROLLUPS,
    RESTATED_ROLLUPS,
    UNMETERED_USAGE,
    RATED_CHARGES,
    RATED_PERIODS,
    BLOCKED_INVOICES,
    INVOICE_LINES,
    ANOMALY_REPORT,
    LEDGER_RECONCILIATION,
    RECONCILIATION_REPORT,
)
"""All tables. `day` columns named first in `partition_by` are the ones Dagster's daily partitions run over."""

BY_NAME = {table.name: table for table in TABLES}
