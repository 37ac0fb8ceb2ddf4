"""The registry as the log says it now, landed or not: what a change of it is checked against."""

from billing_pipeline.contract.registry import Registry, RegistryChange, change_of
from billing_pipeline.ingest.landing import Lander
from billing_pipeline.ingest.queue import Queue
from billing_pipeline.metering.registry_relations import registry_of_log
from billing_pipeline.metering.stage import Workshop

PAGE_RECORDS = 100_000
_CONTROL = b'"kind":"control"'


def registry_now(workshop: Workshop, lander: Lander) -> Registry:
    """The registry after the seed and every change that the log holds, also those that only the queue has so far."""
    landed_until = lander.landed_until()
    with workshop.engine.session() as session:
        landed = registry_of_log(workshop, session).changes
    # What was landed since is in both.
    waiting = {change.queue_offset: change for change in _not_landed(lander.queue, landed_until)}
    for change in landed:
        waiting.pop(change.queue_offset, None)
    return Registry([*landed, *waiting.values()])


def _not_landed(queue: Queue, start: int) -> list[RegistryChange]:
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
    return found
