"""Corrections of earlier events, with who is right about what."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from billing_pipeline.contract.reason_codes import CorrectionOutcome
from billing_pipeline.demo.customers import CUSTOMERS
from billing_pipeline.demo.sending import Chance, DemoRecord, Event, corrected, sent, text

CORRECTIONS = 12
TAKEN_OFF = 1000


def corrections(seed: int, traffic: Sequence[DemoRecord]) -> Iterator[DemoRecord]:
    """Void, adjust and replace in turn, hours to days later; the last one corrects what never was.

    Then one that moves an event to another customer, sent twice, and one that corrects that correction.
    """
    chance = Chance(seed, "corrections")
    chats = [record for record in traffic if record.story == "chats"]
    chosen = chance.random.sample(chats, CORRECTIONS + 1)
    changes: tuple[Event, ...] = (
        {"action": "void", "reason_code": "service_failure", "note": "The answer never reached the user."},
        {"action": "adjust", "quantity_delta": f"-{TAKEN_OFF}", "reason_code": "metering_error"},
        {"action": "replace", "replacement": {"quantity": "2500"}, "reason_code": "dispute"},
    )
    for number, first in enumerate(chosen[:CORRECTIONS]):
        change = changes[number % 3]
        outcome = CorrectionOutcome.APPLIED
        if number == CORRECTIONS - 1:
            outcome = CorrectionOutcome.ORIGINAL_NOT_FOUND
        elif change["action"] == "adjust" and int(str((first.event or {})["quantity"])) < TAKEN_OFF:
            outcome = CorrectionOutcome.EFFECTIVE_NEGATIVE
        known = outcome != CorrectionOutcome.ORIGINAL_NOT_FOUND
        record = _correction(chance, number, first, change, corrected(outcome))
        yield record if known else _of_nothing(record)
    moved_to = CUSTOMERS[3]
    move: Event = {
        "action": "replace",
        "replacement": {"customer_id": moved_to.customer_id, "project_id": moved_to.projects[0]},
        "reason_code": "wrong_customer",
    }
    moving = _correction(chance, CORRECTIONS, chosen[-1], move, corrected(CorrectionOutcome.APPLIED))
    yield moving
    later = moving.received_at + timedelta(hours=1)
    yield sent(moving.event or {}, later, "duplicate", "corrections")
    void: Event = {"action": "void", "reason_code": "wrong_customer"}
    refused = corrected(CorrectionOutcome.NOT_CORRECTABLE)
    yield _correction(chance, CORRECTIONS + 1, moving, void, refused)


def _correction(chance: Chance, number: int, first: DemoRecord, change: Event, kind: str) -> DemoRecord:
    original = first.event or {}
    received_at = chance.hours_after(first.received_at, 2, 80)
    event: Event = {
        "id": f"correction-{number:03}",
        "source": "support-desk",
        "type": "correction",
        "schema_version": 2,
        "occurred_at": text(received_at),
        "corrects": {"source": original["source"], "id": original["id"]},
        "correlation_id": f"ticket-{number:03}",
    }
    return sent(event | change, received_at, kind, "corrections")


def _of_nothing(record: DemoRecord) -> DemoRecord:
    """The same correction, of an event that was never sent."""
    event = (record.event or {}) | {"corrects": {"source": "chat", "id": "never-sent"}}
    return sent(event, record.received_at, record.kind, record.story)
