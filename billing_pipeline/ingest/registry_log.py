"""The registry as the log says it now, landed or not: what a change of it is checked against."""

from billing_pipeline.contract.registry import Registry, RegistryChange, change_of
from billing_pipeline.errors import QueuePrunedError
from billing_pipeline.ingest.landing import Lander
from billing_pipeline.ingest.queue import Queue
from billing_pipeline.metering.registry_relations import registry_of_log
from billing_pipeline.metering.stage import Workshop

PAGE_RECORDS = 100_000
_CONTROL = b'"kind":"control"'


def registry_now(workshop: Workshop, lander: Lander) -> Registry:
    """The registry after the seed and every change that the log holds, also those that only the queue has so far."""
    return RegistryReader(workshop, lander).read()


class RegistryReader:
    """Reads the registry again and again: the lake once, and from then on just what the queue has got since."""

    def __init__(self, workshop: Workshop, lander: Lander) -> None:
        self._workshop = workshop
        self._lander = lander
        self._known: Registry | None = None
        self._next_offset = 0

    def read(self) -> Registry:
        """The registry now; the same object as the last time where the log has no change since.

        Raises:
            QueueError: the queue cannot be read.
            LakeError: the lake cannot be read.
        """
        if self._known is not None:
            try:
                found, self._next_offset = _changes_from(self._lander.queue, self._next_offset)
            except QueuePrunedError:
                self._known = None  # What was not read here has been landed: the lake has it.
            else:
                if found:
                    self._known = self._known.after(found)
                return self._known
        self._known = self._read_all()
        return self._known

    def _read_all(self) -> Registry:
        landed_until = self._lander.landed_until()
        with self._workshop.engine.session() as session:
            landed = registry_of_log(self._workshop, session).changes
        found, self._next_offset = _changes_from(self._lander.queue, landed_until)
        # What was landed since is in both.
        waiting = {change.queue_offset: change for change in found}
        for change in landed:
            waiting.pop(change.queue_offset, None)
        return Registry([*landed, *waiting.values()])


def _changes_from(queue: Queue, start: int) -> tuple[list[RegistryChange], int]:
    """The changes that the queue holds from an offset on, and the offset after the last record looked at."""
    found: list[RegistryChange] = []
    while batches := queue.read_from(start, PAGE_RECORDS):
        for batch in batches:
            if _CONTROL in batch.body:
                found += [
                    change_of(record, offset)
                    for offset, record in enumerate(batch.records(), start=batch.first_offset)
                    if record.kind == "control" and offset >= start
                ]
        start = batches[-1].next_offset
    return found, start
