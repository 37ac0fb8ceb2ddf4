"""When imported events count as received: now, when they occurred, or when a field of theirs says."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from billing_pipeline.contract.instants import instant_us
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.ingest.sources.source_record import SourceRecord

NOW = "now"
OCCURRED = "occurred"


@dataclass(frozen=True)
class ReceiptTimes:
    """How the receipt time of a record is found. `mode` is `now`, `occurred`, or the name of a field.

    A field is looked up in the event itself and, for CloudEvents, in its data; it holds an instant with an
    offset.
    """

    mode: str = NOW
    delay_us: int = 0

    def of(self, source: SourceRecord, record: LogRecord) -> int | None:
        """UTC microseconds of a valid record; None where it cannot be said, and always under `now`."""
        if source.received_at is not None:
            return source.received_at
        if self.mode == NOW:
            return None
        found = record.occurred_at if self.mode == OCCURRED else _field(source.payload, self.mode)
        return None if found is None else found + self.delay_us


def _field(payload: bytes, name: str) -> int | None:
    event = msgspec.json.decode(payload)
    for fields in (event, event.get("data")):
        value = fields.get(name) if isinstance(fields, Mapping) else None
        if isinstance(value, str):
            return instant_us(value)
    return None
