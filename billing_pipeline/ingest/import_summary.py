"""What an import did, or found before it stopped: counts by outcome, faults by line, totals, offsets."""

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.registry import RegistryChange
from billing_pipeline.ingest.sources.source_record import SourceRecord

FAULTS_KEPT = 100


@dataclass(frozen=True)
class LineFault:
    """An invalid line: where it is, the code of its first fault, and all its faults in words."""

    file: str
    line: int
    reason_code: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message} ({self.reason_code})"


@dataclass
class ImportSummary:
    """Counts are of records. `usage`, `correction` and `invalid` add up to what was read."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[LineFault] = field(default_factory=list)
    """The first hundred."""
    fault_codes: Counter[str] = field(default_factory=Counter)
    late: int = 0
    too_late: int = 0
    raised: int = 0
    """Receipt times that lay before the queue's clock and were raised to it."""
    registered: list[RegistryChange] = field(default_factory=list)
    unknown_payers: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Usage events that will be rejected for their customer or project, by (customer, project)."""
    quantities: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    """Sums over the valid usage events by (unit, token class); the class is empty where there is none."""
    first_offset: int | None = None
    next_offset: int | None = None
    """The offset after the last appended record; None where nothing was appended."""

    @property
    def records(self) -> int:
        """How many records were read."""
        return self.outcomes.total()

    def count(self, source: SourceRecord, record: LogRecord) -> None:
        """Note one record that was read."""
        self.outcomes[record.kind] += 1
        if record.kind == "invalid":
            code, message = record.fault_code or "", record.fault_message or ""
            self.fault_codes[code] += 1
            if len(self.faults) < FAULTS_KEPT:
                self.faults.append(LineFault(source.file, source.line, code, message))
        elif record.kind == "usage":
            dimensions = msgspec.json.decode(record.dimensions or "{}", type=dict[str, str])
            key = (record.unit or "", dimensions.get("token_class", ""))
            self.quantities[key] = self.quantities.get(key, Decimal(0)) + Decimal(record.quantity or "0")
