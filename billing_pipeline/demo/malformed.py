"""Records that break the contract, each in one way."""

from collections.abc import Callable, Iterator

from billing_pipeline.contract.reason_codes import RejectionCode
from billing_pipeline.demo.sending import Chance, DemoRecord, Event, rejected, written
from billing_pipeline.demo.traffic import output

ROUNDS = 2
"""How often each fault is sent."""

Breaking = Callable[[Event], bytes]
"""Writes an event so that it breaks one rule."""


def malformed(seed: int) -> Iterator[DemoRecord]:
    """Every fault in turn: single fields, and what cannot be read at all."""
    chance = Chance(seed, "malformed")
    faults = [*_broken_fields(), *_broken_bytes()]
    for number in range(ROUNDS * len(faults)):
        code, break_event = faults[number % len(faults)]
        work = chance.work()
        payload = break_event(output(f"broken-{number:03}.output", work, chance))
        yield DemoRecord(chance.soon_after(work.occurred_at), payload, rejected(code), "malformed")


def _broken_fields() -> Iterator[tuple[RejectionCode, Breaking]]:
    broken: tuple[tuple[RejectionCode, Event], ...] = (
        (RejectionCode.FLOAT_QUANTITY, {"quantity": 1.5}),
        (RejectionCode.NEGATIVE_QUANTITY, {"quantity": "-5"}),
        (RejectionCode.OVER_PRECISE_QUANTITY, {"quantity": "0.0000000001"}),
        (RejectionCode.INVALID_QUANTITY, {"quantity": "1e3"}),
        (RejectionCode.WRONG_TYPE, {"unit": 5}),
        (RejectionCode.MISSING_FIELD, {"customer_id": None}),
        (RejectionCode.UNKNOWN_FIELD, {"price": "0.10"}),
        (RejectionCode.MISSING_REASON_CODE, {"billable": False}),
        (RejectionCode.UNKNOWN_REASON_CODE, {"billable": False, "reason_code": "because"}),
        (RejectionCode.INVALID_INSTANT, {"occurred_at": "2026-10-05 12:00"}),
        (RejectionCode.TOO_MANY_DIMENSIONS, {"dimensions": {f"key-{i}": "value" for i in range(17)}}),
        (RejectionCode.UNKNOWN_SCHEMA_VERSION, {"schema_version": 3}),
        (RejectionCode.FIELD_NOT_IN_SCHEMA_VERSION, {"schema_version": 1, "session_id": "session-1"}),
        (RejectionCode.UNKNOWN_TYPE, {"type": "usge"}),
        (RejectionCode.EMPTY, {"id": ""}),
        (RejectionCode.TOO_LONG, {"correlation_id": "x" * 300}),
    )
    for code, fields in broken:
        yield code, _overwriting(fields)


def _overwriting(fields: Event) -> Breaking:
    return lambda event: written(event | fields)


def _broken_bytes() -> Iterator[tuple[RejectionCode, Breaking]]:
    yield RejectionCode.INVALID_JSON, lambda event: written(event)[:-20]
    yield RejectionCode.NOT_AN_OBJECT, lambda event: b"[" + written(event) + b"]"
    yield RejectionCode.INVALID_UTF8, lambda event: written(event).replace(b"eu-central", b"eu-\xff\xfe")
    yield RejectionCode.DUPLICATE_KEY, lambda event: written(event)[:-1] + b',"quantity":"1"}'
