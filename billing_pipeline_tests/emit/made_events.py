"""Events in short, and options that keep tests fast."""

import threading
from dataclasses import dataclass, field

from billing_pipeline.contract.events import UsageEvent
from billing_pipeline.emit.options import Chance, Options, Pauses


def event(event_id: str, unit: str = "token") -> UsageEvent:
    return UsageEvent(
        id=event_id,
        source="chat",
        customer_id="acme",
        project_id="bot",
        occurred_at="2026-03-01T12:00:00Z",
        unit=unit,
        quantity="1",
        correlation_id=event_id,
    )


@dataclass
class Noted:
    """Notes the pauses that a client would make, and makes none."""

    pauses: list[float] = field(default_factory=list)

    def pause(self, _: threading.Event, seconds: float) -> None:
        self.pauses.append(seconds)

    def options(self, **others: object) -> Options:
        chance = Chance(fraction=lambda: 0.5, pause=self.pause)
        given: dict[str, object] = {"chance": chance, "batch_age_seconds": 0.0, "pauses": Pauses()}
        return Options(**given | others)  # type: ignore[arg-type]
