"""What is said of an invoice line. Values only, and their one canonical form."""

import hashlib
import json
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from billing_pipeline.audit.trace_rows import LineRow
from billing_pipeline.audit.values import document

KIND = "billing line explanation"
FORM = 1
"""Of the document; another number is another form."""


class Step(NamedTuple):
    """One step from the quantity to the amount: what is done, and what it comes to in major units or as a quantity."""

    what: str
    value: str


class Rules(NamedTuple):
    """The rules that priced the line.

    Attributes:
        content_hash: SHA-256 of the rule book's content; `used` says that it is the one recorded at its first use.
        price: the charge or term as the rule book has it, or the contract override that took its place.
        source: where `price` stands: `rule book`, `contract override`, `add-on` …; "" where it is of neither.
    """

    version: str
    effective_from: datetime | None
    content_hash: str
    used: bool
    plan: str
    price: str
    source: str
    rated_as_of: date


class Rerated(NamedTuple):
    """A re-rating of the line's usage period."""

    period_end_day: date
    rules: str
    who: str
    why: str


class DayQuantity(NamedTuple):
    """What a usage day comes to: metered on time, late, and by corrections."""

    usage_day: date
    on_time: Decimal
    late: Decimal
    correction: Decimal
    total: Decimal
    events: int


class Event(NamedTuple):
    """What counts into the line: a customer's part of an event, or of it before (-1) and after (+1) a correction."""

    kind: str
    source: str
    id: str
    correlation_id: str
    occurred_at: datetime | None
    received_at: datetime
    usage_day: date
    posting_day: date
    sign: int
    quantity: Decimal
    unit: str
    dimensions: str


class Correction(NamedTuple):
    """A correction that touches the line: `before` and `after` are what the event counted for here."""

    source: str
    id: str
    corrects_source: str
    corrects_id: str
    action: str
    reason_code: str
    received_at: datetime
    posting_day: date
    before: Decimal
    after: Decimal


class OtherLine(NamedTuple):
    """Another line of the same key, in an earlier or later invoice."""

    line_id: str
    billing_period: date
    quantity: Decimal
    amount_minor: int
    reason: str


class PartitionRead(NamedTuple):
    """A partition that the line rests on, as it was recorded when it was made."""

    table: str
    partition: str
    content_hash: str
    snapshot_id: str


class InStripe(NamedTuple):
    """Where the line went, as the outbox knows it; nothing was asked over the network."""

    account: str
    what: str
    stripe_id: str
    state: str


class Hashes(NamedTuple):
    """How the line can be verified: `evidence_recomputed` is the digest made again from the tables just now."""

    evidence_digest: str
    evidence_recomputed: str
    events_sha256: str

    @property
    def verified(self) -> bool:
        """Whether the tables still say what the line says."""
        return self.evidence_digest == self.evidence_recomputed


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """All that is said of a line. `events` holds the first ones; `event_rows` is how many there are."""

    line: LineRow
    customer_name: str
    steps: tuple[Step, ...]
    rules: Rules
    reratings: tuple[Rerated, ...]
    days: tuple[DayQuantity, ...]
    corrections: tuple[Correction, ...]
    late: tuple[Event, ...]
    events: tuple[Event, ...]
    event_rows: int
    other_lines: tuple[OtherLine, ...]
    partitions: tuple[PartitionRead, ...]
    stripe: tuple[InStripe, ...]
    hashes: Hashes


def as_document(found: Explanation) -> dict[str, Any]:
    """The explanation as JSON, with the hash of all the rest of it."""
    content = {"kind": KIND, "form": FORM, **document(found)}
    content["hashes"]["verified"] = found.hashes.verified
    return content | {"document_hash": document_hash(content)}


def document_hash(content: dict[str, Any]) -> str:
    """SHA-256 (hex) over the canonical JSON of a document, without its own hash."""
    rest = {name: value for name, value in content.items() if name != "document_hash"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
