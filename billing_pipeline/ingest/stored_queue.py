"""The port of a queue for whoever opens it: to close it again, to keep its turn, and to prune what was landed."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from billing_pipeline.errors import QueueError
from billing_pipeline.ingest.queue import Queue

LANDING = "landing"
"""The group that brings records into the lake: what it has not committed can be read by nobody else."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one pruning deleted; the bytes are those of the bodies."""

    batches: int
    records: int
    size_bytes: int
    first_kept_offset: int


class StoredQueue(Queue, Protocol):
    """A queue as whoever opens it has it: to be closed again, and to be pruned by its operator."""

    def __enter__(self) -> Self:
        """Nothing is opened before it is needed."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        ...

    def close(self) -> None:
        """Finish what was handed in, and let go of what was opened; what comes later opens it anew."""
        ...

    def keep_turn(self) -> AbstractContextManager[None]:
        """While it lasts nobody else appends or moves the clock between the appends made within.

        Others wait for the end of it, and fail where that takes long; it is for an import of history, whose receipt
        times a record stamped in between would overtake.
        """
        ...

    def prune(self, below_offset: int, received_before_us: int) -> Pruned:
        """Delete for ever what ends below an offset and was received before an instant, but never the last batch.

        The caller knows that all of it has been landed. Killed half way, the next pruning goes on.

        Raises:
            QueueError: the landing group has not got as far, or the queue cannot be written.
        """
        ...


def check_landed(below_offset: int, landed: int) -> None:
    """Refuse to prune what the landing group has not committed.

    Raises:
        QueueError: it is asked for.
    """
    if below_offset > landed:
        raise QueueError(
            f"what is below offset {below_offset} cannot be pruned: only {landed} records have been landed; land first"
        )
