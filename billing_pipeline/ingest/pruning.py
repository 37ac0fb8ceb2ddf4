"""Deletes from the queue what the lake proves to hold: an operator's decision, never made by itself."""

from pathlib import Path

from billing_pipeline.errors import LakeError
from billing_pipeline.ingest.landing import Lander
from billing_pipeline.ingest.landing_chain import mended_head
from billing_pipeline.ingest.stored_queue import LANDING, Pruned, StoredQueue
from billing_pipeline.metering.calendar import DAY_US
from billing_pipeline.schemas.tables import RAW_USAGE_EVENTS


def prune_landed(lander: Lander, queue: StoredQueue, keep_days: int, now_us: int) -> Pruned:
    """Delete what was landed and received more than so many days before an instant (UTC µs), but the last batch.

    Nothing is landed meanwhile. What the raw table holds is taken from its own chain, file by file.

    Raises:
        LandingChainError: the raw table is not what was recorded of it; nothing is deleted.
        LakeError: the raw table does not hold every record that was landed; nothing is deleted.
        QueueError: the queue cannot be pruned.
    """
    with lander.lake.lock("landing"):
        mended_head(lander.lake, lander.control)
        landed = lander.landed_until()
        files = lander.lake.files(RAW_USAGE_EVENTS)
        missing = [file.path for file in files if not Path(file.path).is_file()]
        if missing or sum(file.rows for file in files) != landed:
            raise LakeError(
                f"{RAW_USAGE_EVENTS.name} does not hold the {landed:,} records that were landed "
                f"({len(missing)} files are missing); nothing is pruned. `billing verify` says more"
            )
        below_offset = min(landed, queue.committed(LANDING))
        return queue.prune(below_offset, now_us - keep_days * DAY_US)
