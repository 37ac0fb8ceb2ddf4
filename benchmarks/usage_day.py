"""One day of usage of an AI product, made the same every time: what the benchmarks run on.

1,000 customers with 3 projects each; an event per request, with one of 3 models, 3 token classes and 3 regions.
Of 1,000 events 10 are redeliveries, one is a conflict (the id of an earlier event with another quantity) and one
is rejected (half break the contract, half name an unknown customer); of 10,000 five are late. Every event is a
pure function of its number, and comes in by the same door as anywhere else.
"""

import multiprocessing
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import msgspec

from billing_pipeline.contract.door import Admitted, admit
from billing_pipeline.contract.instants import instant_text
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.log_lines import Body, body_of, record_line
from billing_pipeline.contract.registry import RegistryChange, control_record
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
from billing_pipeline.metering.calendar import DAY_US, MINUTE_US, start_of

DAY = date(2026, 10, 20)
BATCH_RECORDS = 10_000
CUSTOMERS = 1_000
PROJECTS = 3
MODELS = ("atlas-large", "atlas-small", "atlas-embed")
TOKEN_CLASSES = ("input_uncached", "input_cached", "output")
REGIONS = ("eu-central", "us-east", "ap-south")
REPEATED_WITHIN = 200_000
"""A redelivery or conflict follows its original within this many events."""

_GRACE_US = 60 * MINUTE_US


@dataclass(frozen=True)
class Sent:
    """What the generator knows of the events it sent."""

    events: int
    rejected: int
    rejected_quantity: int
    """Sum over the rejected events, none of which repeats another."""


class _Batch(msgspec.Struct):
    received_at: int
    body: Body
    lines: bytes
    rejected: int
    rejected_quantity: int


def write_usage_day(events: int, queue_path: Path, lines_path: Path, progress: Callable[[int], None]) -> Sent:
    """Put the day into a new queue, and its events with their offsets as plain NDJSON into a file."""
    stamp = [_received_at(0, events)]
    batches = rejected = rejected_quantity = 0
    with (
        SqliteQueue(queue_path, wall_clock=lambda: stamp[0], steady_clock=lambda: stamp[0]) as queue,
        lines_path.open("wb") as lines,
        multiprocessing.Pool() as pool,
    ):
        for changes in _registrations():
            first_offset = queue.append("registry", changes).stop
        make = partial(_batch, events=events, first_offset=first_offset)
        for batch in pool.imap(make, range(0, events, BATCH_RECORDS)):
            stamp[0] = batch.received_at
            queue.submit("gateway", batch.body).result()
            lines.write(batch.lines)
            batches += 1
            rejected += batch.rejected
            rejected_quantity += batch.rejected_quantity
            progress(min(events, batches * BATCH_RECORDS))
    return Sent(events, rejected, rejected_quantity)


def _registrations() -> Iterator[list[LogRecord]]:
    """The customers, their plans and projects, as control records at the head of the day's log."""
    since = date(2026, 10, 1)
    changes: list[RegistryChange] = []
    for number in range(CUSTOMERS):
        customer_id = _customer(number)
        changes.append(RegistryChange("customer", customer_id, "register", since, {"name": customer_id}))
        changes.append(RegistryChange("plan_assignment", customer_id, "assign", since, {"plan": "standard"}))
        changes += [
            RegistryChange("project", f"{customer_id}/{_project(project)}", "register", since)
            for project in range(PROJECTS)
        ]
    yield [control_record(change, f"change-{number}") for number, change in enumerate(changes)]


def _batch(start: int, *, events: int, first_offset: int) -> _Batch:
    numbers = range(start, min(events, start + BATCH_RECORDS))
    payloads = [_event(_original(number), number, events) for number in numbers]
    rejected = [number for number in numbers if _is_rejected(number)]
    return _Batch(
        received_at=_received_at(start, events),
        body=body_of(map(_line, payloads)),
        lines=b"".join(
            b'{"queue_offset":%d,%b\n' % (first_offset + number, payload[1:])
            for number, payload in zip(numbers, payloads, strict=True)
        ),
        rejected=len(rejected),
        rejected_quantity=sum(_quantity(number) for number in rejected),
    )


def _line(payload: bytes) -> bytes:
    """The line that the gateway would keep of it."""
    admitted = admit(payload)
    return admitted.line if isinstance(admitted, Admitted) else record_line(admitted)


def _received_at(number: int, events: int) -> int:
    """The batch's receipt time: spread from the close of the day before up to midnight."""
    batch = number // BATCH_RECORDS
    batches = -(-events // BATCH_RECORDS)
    return start_of(DAY) + _GRACE_US + (DAY_US - _GRACE_US) * batch // batches


def _original(number: int) -> int:
    """The number of the event that this one repeats; itself if it repeats none."""
    if not (_is_redelivery(number) or _is_conflict(number)):
        return number
    found = max(0, number - random.Random(number).randrange(1, REPEATED_WITHIN)) // 100 * 100
    return found + 1  # one that is nothing special itself


def _is_redelivery(number: int) -> bool:
    return number % 100 == 50


def _is_conflict(number: int) -> bool:
    return number % 1000 == 333


def _is_rejected(number: int) -> bool:
    return number % 1000 == 666


def _is_late(number: int) -> bool:
    return number % 2000 == 777


def _event(number: int, sent_as: int, events: int) -> bytes:
    """The JSON of an event, as sent the first time or again."""
    draw = random.Random(number)
    request = f"{draw.getrandbits(64):016x}"
    customer_id = _customer(draw.randrange(CUSTOMERS))
    delay = draw.randrange(10 * MINUTE_US)
    occurred_at = start_of(DAY) - DAY_US // 2 if _is_late(number) else _received_at(number, events) - delay
    event: dict[str, object] = {
        "id": f"req_{request}",
        "source": f"gateway/{draw.choice(REGIONS)}",
        "type": "usage",
        "schema_version": 2,
        "customer_id": customer_id,
        "project_id": _project(draw.randrange(PROJECTS)),
        "occurred_at": instant_text(occurred_at),
        "unit": "token",
        "quantity": str(_quantity(number) + (sent_as if _is_conflict(sent_as) else 0)),
        "dimensions": {
            "model": draw.choice(MODELS),
            "region": draw.choice(REGIONS),
            "token_class": draw.choice(TOKEN_CLASSES),
        },
        "correlation_id": f"req_{request}",
        "session_id": f"run_{number // 40:012d}",
        "step": "completion",
    }
    if _is_rejected(number):
        if number % 2000 == 666:
            del event["correlation_id"]
        else:
            event["customer_id"] = "nobody"
    return msgspec.json.encode(event)


def plain_payload(number: int, events: int) -> bytes:
    """The JSON of an event of the day that is nothing special."""
    return _event(number * 1000 + 1, number * 1000 + 1, events * 1000)


def _quantity(number: int) -> int:
    return 1 + number * 7919 % 5000


def _customer(number: int) -> str:
    return f"customer-{number:04d}"


def _project(number: int) -> str:
    return f"project-{number}"
