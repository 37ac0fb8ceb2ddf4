"""What the tests of the adapters share: whom calls are booked for, and how events are looked at."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from billing_pipeline.contract.events import UsageEvent, encode
from billing_pipeline.contract.parsing import parse
from billing_pipeline.emit.adapters.attribution import Attribution

Counts = Callable[[Sequence[UsageEvent]], dict[str, int]]


@pytest.fixture
def attribution() -> Attribution:
    return Attribution(
        source="support-bot",
        customer_id="acme",
        project_id="bot",
        occurred_at=datetime(2026, 10, 20, 12, tzinfo=UTC),
    )


@pytest.fixture
def counts() -> Counts:
    """Counts by what was counted; on the way every event is shown to the contract."""

    def count(events: Sequence[UsageEvent]) -> dict[str, int]:
        for event in events:
            record = parse(encode(event))
            assert record.kind == "usage", record
        return {event.id.rpartition(":")[2]: int(str(event.quantity)) for event in events}

    return count


class RecordingClient:
    """Keeps what it is given; raises first what it was told to."""

    def __init__(self, *failures: Exception) -> None:
        self.events: list[UsageEvent] = []
        self.failures = [*failures]

    def emit(self, event: UsageEvent) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.events.append(event)


@pytest.fixture
def recording_client() -> Any:
    return RecordingClient
