"""A simulated AI company: everything that its pipeline receives for October 2026, in order.

Pure and deterministic: the same seed gives the same bytes. Each story is one function; here they meet.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from billing_pipeline.demo import (
    agents,
    corrections,
    lateness,
    malformed,
    redeliveries,
    shared,
    traffic,
    unknowns,
)
from billing_pipeline.demo.customers import registry_changes
from billing_pipeline.demo.sending import DemoRecord

SEED = 2026


def company_log(seed: int = SEED) -> list[DemoRecord]:
    """Every record in the order of receipt: 2026-10-01 01:00 to before 2026-11-05 00:00 UTC.

    At one instant control records come first. To take these receipt times, a queue needs a wall clock that is
    past the last of them.
    """
    records = [*_registry(), *_stories(seed)]
    return sorted(records, key=lambda record: record.received_at)


def expected_outcomes(records: Iterable[DemoRecord]) -> dict[str, int]:
    """How many records of each kind were sent, by kind."""
    return dict(sorted(Counter(record.kind for record in records).items()))


def _registry() -> Iterator[DemoRecord]:
    for received_at, change in registry_changes():
        yield DemoRecord(received_at, b"", "control", "registry", change=change)


def _stories(seed: int) -> Iterator[DemoRecord]:
    on_time = [
        *traffic.chats(seed),
        *agents.agent_sessions(seed),
        *traffic.embeddings(seed),
        *traffic.sandboxes(seed),
        *traffic.not_billable(seed),
        *traffic.old_clients(seed),
    ]
    yield from on_time
    yield from redeliveries.same_bytes(seed, on_time)
    yield from redeliveries.fresh_emissions(seed, on_time)
    yield from redeliveries.other_spellings(seed, on_time)
    yield from redeliveries.conflicts(seed, on_time)
    yield from lateness.just_in_time(seed)
    yield from lateness.hours_late(seed)
    yield from lateness.days_late(seed)
    yield from lateness.after_the_month(seed)
    yield from lateness.too_late(seed)
    yield from lateness.from_the_future(seed)
    yield from malformed.malformed(seed)
    yield from shared.shared_runs(seed)
    yield from unknowns.unknown_names(seed)
    yield from unknowns.new_project(seed)
    yield from unknowns.closed_customer(seed)
    yield from corrections.corrections(seed, on_time)
