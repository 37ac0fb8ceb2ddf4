"""Rows of the tables that a trace follows: what counts, its rollups, the invoice lines."""

from datetime import date
from decimal import Decimal
from typing import NamedTuple

from billing_pipeline.rating.charges import LineKey


class Booking(NamedTuple):
    """A row that counts: a payer's part of an event (sign 1), or of it before (-1) and after (1) a correction."""

    origin: str
    queue_offset: int
    receipt_day: date
    event_offset: int
    sign: int
    posting_day: date
    usage_day: date
    rule_version: str
    allocation_index: int
    customer_id: str
    project_id: str
    unit: str
    quantity: Decimal
    event_share: Decimal
    dimensions: str
    billable: bool

    @property
    def kind(self) -> str:
        """As its rollup row calls it."""
        if self.origin == "correction":
            return "correction"
        return "on_time" if self.posting_day == self.usage_day else "late"


class RollupRow(NamedTuple):
    """A row of the rollups; fields as its columns."""

    posting_day: date
    rule_version: str
    usage_day: date
    kind: str
    customer_id: str
    project_id: str
    meter: str
    unit: str
    dimensions: str
    quantity: Decimal
    event_count: int


class LineRow(NamedTuple):
    """An invoice line; fields as the columns of `invoice_lines`."""

    line_id: str
    period_end_day: date
    billing_period: date
    usage_period: date
    kind: str
    customer_id: str
    project_id: str
    plan: str
    charge: str
    meter: str
    unit: str
    dimensions: str
    rule_version: str
    quantity: Decimal
    amount: Decimal
    amount_minor: int
    booked_before_minor: int
    currency: str
    description: str
    tiers: str
    evidence_digest: str
    component: str
    term: str
    quantity_before: Decimal
    reason: str
    rated_as_of: date
    rollup_partitions: str

    @property
    def key(self) -> LineKey:
        """What tells the line from others."""
        return LineKey(**{name: getattr(self, name) for name in LineKey.__struct_fields__})
