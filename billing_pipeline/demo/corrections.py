"""Corrections of earlier events, with who is right about what."""

from collections.abc import Iterator, Sequence

from billing_pipeline.demo.sending import Chance, DemoRecord, Event, sent, text

CORRECTIONS = 12


def corrections(seed: int, traffic: Sequence[DemoRecord]) -> Iterator[DemoRecord]:
    """Void, adjust and replace in turn, hours to days later; the last one corrects what never was."""
    chance = Chance(seed, "corrections")
    chats = [record for record in traffic if record.story == "chats"]
    changes: tuple[Event, ...] = (
        {"action": "void", "reason_code": "service_failure", "note": "The answer never reached the user."},
        {"action": "adjust", "quantity_delta": "-1000", "reason_code": "metering_error"},
        {"action": "replace", "replacement": {"quantity": "2500"}, "reason_code": "dispute"},
    )
    for number, first in enumerate(chance.random.sample(chats, CORRECTIONS)):
        original = first.event or {}
        received_at = chance.hours_after(first.received_at, 2, 80)
        known = number < CORRECTIONS - 1
        event: Event = {
            "id": f"correction-{number:03}",
            "source": "support-desk",
            "type": "correction",
            "schema_version": 2,
            "occurred_at": text(received_at),
            "corrects": {"source": original["source"], "id": original["id"] if known else "never-sent"},
            "correlation_id": f"ticket-{number:03}",
        }
        yield sent(event | changes[number % 3], received_at, "correction", "corrections")
