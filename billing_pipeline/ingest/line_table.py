"""Some batches of the log as one table of lines, cut out of their bodies without looking at a single one in Python."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from billing_pipeline.errors import LakeError
from billing_pipeline.ingest.queue import Batch

if TYPE_CHECKING:
    import pyarrow as pa

_LINE_FEED = 10


def line_table(batches: Sequence[Batch]) -> "pa.Table":
    """The records of batches that follow each other in the log.

    Returns:
        Columns queue_offset, received_at (UTC µs), producer, and line (with its line feed); a row per record.

    Raises:
        LakeError: a body does not have a line for each of its records.
    """
    import numpy as np
    import pyarrow as pa

    first, end = batches[0].first_offset, batches[-1].next_offset
    times = [
        np.frombuffer(batch.receipt_times_us, "<i8")
        if batch.received_at is None
        else np.full(batch.count, batch.received_at, "<i8")
        for batch in batches
    ]
    return pa.table(
        {
            "queue_offset": np.arange(first, end, dtype=np.int64),
            "received_at": np.concatenate(times),
            "producer": pa.chunked_array([pa.repeat(batch.producer, batch.count) for batch in batches]),
            "line": pa.chunked_array([_lines(batch) for batch in batches], pa.string()),
        }
    )


def _lines(batch: Batch) -> "pa.Array":
    import numpy as np
    import pyarrow as pa

    ends = np.flatnonzero(np.frombuffer(batch.body, np.uint8) == _LINE_FEED) + 1
    if len(ends) != batch.count:
        raise LakeError(
            f"the batch at offset {batch.first_offset} has {batch.count} records in {len(ends)} lines; "
            "nothing is committed: restore the queue from its backup"
        )
    starts_and_end = np.concatenate([np.zeros(1, np.int32), ends.astype(np.int32)])
    return pa.StringArray.from_buffers(batch.count, pa.py_buffer(starts_and_end), pa.py_buffer(batch.body))
