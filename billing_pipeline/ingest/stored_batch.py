"""A batch as every queue stores it, with its checksum, and the end of a log: the same for every engine."""

import zlib
from dataclasses import dataclass

from billing_pipeline.ingest.queue import Batch


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch as it is stored. Instants are UTC µs."""

    batch: Batch
    first_received_at: int
    last_received_at: int

    @property
    def crc32(self) -> int:
        """Over every column, so that a changed offset or time is found as well as a changed body."""
        batch = self.batch
        header = (
            batch.first_offset,
            batch.count,
            batch.received_at,
            self.first_received_at,
            self.last_received_at,
            batch.producer,
        )
        return zlib.crc32(batch.body, zlib.crc32(batch.receipt_times_us, zlib.crc32(repr(header).encode())))


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Where the log ends, and from where on it is kept. Instants are UTC µs."""

    next_offset: int = 0
    last_received_at: int | None = None
    advanced_to: int | None = None
    first_kept_offset: int = 0

    @property
    def clock(self) -> int:
        """The largest receipt time or instant advanced to; 0 where there is neither."""
        return max(self.last_received_at or 0, self.advanced_to or 0)
