"""Numbers and stamps a batch: the same for every place where a queue may be stored."""

from billing_pipeline.ingest.queue import Batch, times_bytes
from billing_pipeline.ingest.queue_clock import QueueClock
from billing_pipeline.ingest.stored_batch import BatchRow
from billing_pipeline.ingest.write_buffer import Append


def numbered(request: Append, first_offset: int, clock: QueueClock) -> BatchRow:
    """The row of a batch that begins at `first_offset`, stamped by the clock, or with the times of its import.

    Raises:
        ClockError: the times are not possible, or the wall clock cannot be trusted. The clock is unchanged.
    """
    if request.received_at is None:
        stamp = first = clock.stamp()
        batch = Batch(first_offset, request.count, request.producer, stamp, request.body)
    else:
        clock.accept(request.received_at)
        first = request.received_at[0]
        times = times_bytes(request.received_at)
        batch = Batch(first_offset, request.count, request.producer, None, request.body, times)
    return BatchRow(batch, first, clock.value)
