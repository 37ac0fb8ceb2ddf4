"""The port of the durable queue: what every queue must do, whatever stores it.

The log is one order of records, numbered densely from 0. What `append` has returned is durable; readers
follow the log in named groups, each with its own committed offset.
"""

import sys
from array import array
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.log_lines import Body, read_line
from billing_pipeline.errors import QueueError

MAX_BATCH_RECORDS = 10_000
"""Records in one append; more is refused."""

MAX_PRODUCER_CHARACTERS = 256

MAX_BATCH_BYTES = 16 * 1024 * 1024
"""Bytes of one append's lines; more is refused."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one `append` accepted: a dense range of offsets.

    `received_at` (UTC µs) holds for all records; it is None where an import brought receipt times of its own, and
    then `receipt_times_us` has them: eight bytes per record, little-endian. `body` holds a line per record in offset
    order (`contract.log_lines`).
    """

    first_offset: int
    count: int
    producer: str
    received_at: int | None
    body: bytes
    receipt_times_us: bytes = b""

    @property
    def next_offset(self) -> int:
        """The offset after the last record: what a group commits once it is done with this batch."""
        return self.first_offset + self.count

    def records(self) -> Iterator[LogRecord]:
        """The records in offset order."""
        return map(read_line, self.body.splitlines())

    def receipt_times(self) -> list[int]:
        """The receipt time (UTC µs) of each record, in offset order."""
        if self.received_at is not None:
            return [self.received_at] * self.count
        return array_of(self.receipt_times_us).tolist()

    @property
    def first_received_at(self) -> int:
        """The receipt time (UTC µs) of the first record."""
        return self.receipt_times()[0] if self.received_at is None else self.received_at

    @property
    def last_received_at(self) -> int:
        """The receipt time (UTC µs) of the last record; none in the batch is larger."""
        return self.receipt_times()[-1] if self.received_at is None else self.received_at


def times_bytes(receipt_times: Sequence[int]) -> bytes:
    """Receipt times (UTC µs) as a batch holds them."""
    times = array("q", receipt_times)
    if sys.byteorder == "big":
        times.byteswap()
    return times.tobytes()


def array_of(receipt_times_us: bytes) -> "array[int]":
    """The receipt times (UTC µs) that a batch holds."""
    times = array("q", receipt_times_us)
    if sys.byteorder == "big":
        times.byteswap()
    return times


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """What an operator wants to know about the queue. Instants are UTC µs, None where there are none yet."""

    location: str
    next_offset: int
    last_received_at: int | None
    advanced_to: int | None
    size_bytes: int
    engine: str
    committed: dict[str, int] = field(default_factory=dict)
    """Each group's committed offset; what a group still has to read is next_offset minus this."""
    first_kept_offset: int = 0
    """Below it the log is pruned: landed, and deleted here."""
    warnings: tuple[str, ...] = ()
    """What would lose acknowledged records, each with what to do."""

    @property
    def clock(self) -> int:
        """No later record can get a smaller receipt time (UTC µs); 0 for an untouched queue."""
        return max(self.last_received_at or 0, self.advanced_to or 0)


class Queue(Protocol):
    """A durable log with named reading groups and a clock that never goes back."""

    def append(
        self, producer: str, records: Sequence[LogRecord], received_at: Sequence[int] | None = None
    ) -> range:
        """Append 1 to 10,000 records (16 MiB of lines) and return their offsets once they are durable.

        Args:
            producer: who sent them; kept with the batch.
            records: in the order in which they are to be numbered.
            received_at: only for an import of history: a receipt time (UTC µs) per record, non-decreasing,
                none before `clock()`, none after the wall clock. Otherwise the queue stamps them itself.

        Raises:
            QueueError: empty or too large, no room in time, or it could not be made durable. Then nothing is
                acknowledged, and the same records can be sent again.
            ClockError: the receipt times are not possible, or the wall clock cannot be trusted.
        """
        ...

    def submit(self, producer: str, body: Body) -> Future[range]:
        """Hand in 1 to 10,000 lines without waiting for the disk; the future ends with their offsets once durable.

        Raises:
            QueueFullError: the buffer before the disk has no room now.
            QueueError: empty or too large, or the queue cannot be written. It may also come through the future, as
                may `ClockError`.
        """
        ...

    def read(self, group: str, max_batches: int) -> list[Batch]:
        """Up to `max_batches` whole batches from the group's committed offset on.

        Raises:
            QueueCorruptError: the first batch to be read does not match its checksum or is missing; what
                stands before a damaged batch is read as usual.
            QueuePrunedError: the first batch to be read was landed and then deleted.
        """
        ...

    def read_from(self, offset: int, max_records: int) -> list[Batch]:
        """Whole batches from the one that holds `offset` on: up to `max_records` records, at least a batch.

        The first batch begins before `offset` where that stands inside it.

        Raises:
            QueueCorruptError: the first batch to be read does not match its checksum or is missing; what
                stands before a damaged batch is read as usual.
            QueuePrunedError: the first batch to be read was landed and then deleted.
        """
        ...

    def commit(self, group: str, next_offset: int) -> None:
        """Record durably that the group is done with every record below `next_offset`.

        Raises:
            QueueError: it would go back, or past the end of the log.
        """
        ...

    def committed(self, group: str) -> int:
        """The offset from which the group reads next; 0 for a new group."""
        ...

    def advance(self, to_us: int) -> None:
        """Move the clock durably to an instant (UTC µs) at or after it, and not after the wall clock.

        Raises:
            ClockError: it would go back, or past the wall clock; both instants are named.
        """
        ...

    def clock(self) -> int:
        """The watermark (UTC µs): no later record can get a smaller receipt time. 0 for a new queue."""
        ...

    def next_offset(self) -> int:
        """The offset that the next record will get, which is the number of records in the log."""
        ...

    def status(self) -> QueueStatus:
        """Offsets, clock, groups and size, read together."""
        ...


def check_size(body: Body) -> None:
    """Refuse what is more or less than one append may bring.

    Raises:
        QueueError: it is empty or too large.
    """
    if not 1 <= body.count <= MAX_BATCH_RECORDS:
        raise QueueError(f"an append of {body.count} records; send 1 to {MAX_BATCH_RECORDS} at a time")
    if len(body.lines) > MAX_BATCH_BYTES:
        raise QueueError(
            f"an append of {len(body.lines)} bytes; send at most {MAX_BATCH_BYTES} bytes at a time"
        )


def check_producer(producer: str) -> None:
    """Refuse a name that not every database can store: what cannot be stored would fail the batches beside it too.

    Raises:
        QueueError: it is too long, or has characters that are no text.
    """
    if len(producer) > MAX_PRODUCER_CHARACTERS or not producer.isprintable():
        raise QueueError(
            f"producer {producer[:MAX_PRODUCER_CHARACTERS]!r}: give at most {MAX_PRODUCER_CHARACTERS} "
            "printable characters"
        )
