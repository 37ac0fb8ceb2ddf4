"""The same events again: resends that must not bill twice, and resends that say something else."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone

from billing_pipeline.demo.sending import Chance, DemoRecord, sent, text

SAME_BYTES = 200
FRESH_EMISSIONS = 70
OTHER_SPELLINGS = 40
CONFLICTS = 30
WITHIN_THE_HOUR = 0.66
DAYS_LATER = 4
"""The part of the redeliveries that comes at once; the others come at most so many days later."""

_SUMMER_TIME = timezone(timedelta(hours=2))


def same_bytes(seed: int, traffic: Sequence[DemoRecord]) -> Iterator[DemoRecord]:
    """An at-least-once transport delivers the same bytes again, minutes or days later."""
    chance = Chance(seed, "same bytes again")
    for first in chance.random.sample(traffic, SAME_BYTES):
        again = _again(chance, first)
        yield DemoRecord(again, first.payload, "duplicate", "same bytes again", first.event)


def fresh_emissions(seed: int, traffic: Sequence[DemoRecord]) -> Iterator[DemoRecord]:
    """A client that heard no answer sends the event again and says when it did so."""
    chance = Chance(seed, "sent again afresh")
    for first in chance.random.sample(traffic, FRESH_EMISSIONS):
        again = _again(chance, first)
        event = dict(first.event or {}) | {"emitted_at": text(again - timedelta(milliseconds=60))}
        yield sent(event, again, "duplicate", "sent again afresh")


def other_spellings(seed: int, traffic: Sequence[DemoRecord]) -> Iterator[DemoRecord]:
    """Another client library writes the same instant as `+02:00` and pads the quantity with zeros."""
    chance = Chance(seed, "spelled otherwise")
    for first in chance.random.sample(traffic, OTHER_SPELLINGS):
        event = dict(first.event or {})
        occurred_at = datetime.fromisoformat(str(event["occurred_at"]))
        event["occurred_at"] = occurred_at.astimezone(_SUMMER_TIME).isoformat()
        whole, _, fraction = str(event["quantity"]).partition(".")
        event["quantity"] = f"{whole}.{fraction}00"
        yield sent(event, _again(chance, first), "duplicate", "spelled otherwise")


def conflicts(seed: int, traffic: Sequence[DemoRecord]) -> Iterator[DemoRecord]:
    """A streaming client reports the output tokens so far under one id: only the first report counts."""
    chance = Chance(seed, "growing output")
    outputs = [first for first in traffic if first.story == "chats" and b'"output"' in first.payload]
    for first in chance.random.sample(outputs, CONFLICTS):
        event = dict(first.event or {})
        received_at = first.received_at
        for _ in range(chance.random.randrange(1, 3)):
            received_at = chance.soon_after(received_at)
            event["quantity"] = str(int(str(event["quantity"])) + chance.random.randrange(100, 5_000))
            yield sent(event, received_at, "conflict", "growing output")


def _again(chance: Chance, first: DemoRecord) -> datetime:
    """Two of three within the hour, the others days later."""
    if chance.random.random() < WITHIN_THE_HOUR:
        return first.received_at + timedelta(seconds=chance.random.randrange(1, 3_600))
    return chance.hours_after(first.received_at, 24, 24 * DAYS_LATER)
