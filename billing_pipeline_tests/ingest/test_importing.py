"""Importing: receipt times, one order, lateness, registration, and what stops an import."""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal

import pytest

from billing_pipeline.contract.instants import instant_us
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.registry import Registry, RegistryChange, change_of
from billing_pipeline.errors import ClockError, ImportFaultsError, ImportLateError, ImportRefusedError
from billing_pipeline.ingest.import_summary import ImportSummary
from billing_pipeline.ingest.importing import import_records
from billing_pipeline.ingest.receipt_times import ReceiptTimes
from billing_pipeline.ingest.sources.source_record import SourceRecord
from billing_pipeline.rating.registered_agreement import agreement_of

DAY = 86_400 * 1_000_000


def at(text: str) -> int:
    microseconds = instant_us(text)
    assert microseconds is not None
    return microseconds


NOW = at("2026-04-01T00:00:00Z")


class FakeQueue:
    """Keeps what was appended, and holds the importer to the queue's rules."""

    def __init__(self, clock_us: int = 0) -> None:
        self.clock_us = clock_us
        self.records: list[LogRecord] = []
        self.times: list[int | None] = []

    def clock(self) -> int:
        return self.clock_us

    def keep_turn(self) -> AbstractContextManager[None]:
        return nullcontext()

    def append(
        self, producer: str, records: Sequence[LogRecord], received_at: Sequence[int] | None = None
    ) -> range:
        assert producer
        first = len(self.records)
        for time in received_at or ():
            assert time >= self.clock_us
            self.clock_us = time
        self.records.extend(records)
        self.times.extend(received_at or [None] * len(records))
        return range(first, len(self.records))

    @property
    def ids(self) -> list[str | None]:
        return [record.id for record in self.records]


def on_time_within_a_day(occurred_us: int, received_us: int) -> Literal["on_time", "late", "too_late"]:
    if received_us - occurred_us < DAY:
        return "on_time"
    return "late" if received_us - occurred_us < 35 * DAY else "too_late"


def event(name: str, occurred_at: str, **changes: Any) -> bytes:
    fields = {
        "id": name,
        "source": "gateway",
        "type": "usage",
        "schema_version": 2,
        "customer_id": "acme",
        "project_id": "bot",
        "occurred_at": occurred_at,
        "unit": "token",
        "quantity": "5",
        "dimensions": {"token_class": "output"},
        "correlation_id": "r",
    }
    return json.dumps(fields | changes).encode()


def lines(*payloads: bytes, file: str = "a") -> list[SourceRecord]:
    return [SourceRecord(file, number, payload) for number, payload in enumerate(payloads, start=1)]


def run(
    sources: list[SourceRecord], queue: FakeQueue, mode: str = "occurred", **options: Any
) -> ImportSummary:
    settings: dict[str, Any] = {"registry": Registry([]), "lateness": on_time_within_a_day} | options
    return import_records(sources, queue, wall_clock_us=NOW, receipt=ReceiptTimes(mode), **settings)


def test_the_whole_input_is_ordered_by_receipt_time() -> None:
    """Several files together; equal times stay in the order of file and line."""
    queue = FakeQueue()
    first = lines(event("a1", "2026-03-03T00:00:00Z"), event("a2", "2026-03-01T00:00:00Z"))
    second = lines(event("b1", "2026-03-02T00:00:00Z"), event("b2", "2026-03-03T00:00:00Z"), file="b")
    summary = run(first + second, queue)
    assert queue.ids == ["a2", "b1", "a1", "b2"]
    assert queue.times == sorted(queue.times, key=lambda time: time or 0)
    assert (summary.first_offset, summary.next_offset) == (0, 4)
    assert summary.quantities == {("token", "output"): Decimal(20)}


def test_a_delay_and_a_field_make_receipt_times() -> None:
    """`occurred` with a delay, or any field of the event or of a CloudEvent's data that holds an instant."""
    queue = FakeQueue()
    payload = event("a", "2026-03-01T00:00:00Z", received_at="2026-03-01T00:10:00Z")
    import_records(
        lines(payload),
        queue,
        registry=Registry([]),
        lateness=on_time_within_a_day,
        wall_clock_us=NOW,
        receipt=ReceiptTimes("occurred", delay_us=5_000_000),
    )
    run(lines(payload), queue, mode="received_at")
    assert queue.times == [at("2026-03-01T00:00:05Z"), at("2026-03-01T00:10:00Z")]


def test_events_of_now_are_stamped_by_the_queue() -> None:
    """The import brings no times then."""
    queue = FakeQueue()
    run(lines(event("a", "2026-03-31T23:00:00Z")), queue, mode="now")
    assert queue.times == [None]


def test_a_source_may_know_its_receipt_times() -> None:
    """They win over the mode."""
    queue = FakeQueue()
    source = SourceRecord("a", 1, event("a", "2026-03-01T00:00:00Z"), at("2026-03-01T00:30:00Z"))
    run([source], queue, mode="now")
    assert queue.times == [at("2026-03-01T00:30:00Z")]


def test_an_invalid_line_is_reported_and_kept() -> None:
    """It gets the receipt time of the record before it, and does not stop the rest."""
    queue = FakeQueue()
    sources = lines(
        b"{}",
        event("a", "2026-03-02T00:00:00Z"),
        b"nonsense",
        event("b", "2026-03-01T00:00:00Z", quantity=1.5),
    )
    summary = run(sources, queue)
    assert [record.kind for record in queue.records] == ["invalid", "usage", "invalid", "invalid"]
    assert set(queue.times) == {at("2026-03-02T00:00:00Z")}
    assert summary.outcomes == {"usage": 1, "invalid": 3}
    assert [(fault.line, fault.reason_code) for fault in summary.faults] == [
        (1, "missing_field"),
        (3, "invalid_json"),
        (4, "float_quantity"),
    ]
    assert str(summary.faults[1]).startswith("a:3: ")


def test_a_strict_import_appends_nothing_if_a_line_is_invalid() -> None:
    """The error says how many and where the first is."""
    queue = FakeQueue()
    with pytest.raises(ImportFaultsError, match=r"1 invalid lines, the first: a:2"):
        run(lines(event("a", "2026-03-01T00:00:00Z"), b"x"), queue, strict=True)
    assert queue.records == []


def test_times_before_the_queues_clock_are_raised_to_it() -> None:
    """Where that makes nothing late, it is only counted."""
    queue = FakeQueue(at("2026-03-01T12:00:00Z"))
    summary = run(lines(event("a", "2026-03-01T10:00:00Z"), event("b", "2026-03-01T13:00:00Z")), queue)
    assert summary.raised == 1
    assert queue.times == [at("2026-03-01T12:00:00Z"), at("2026-03-01T13:00:00Z")]


@pytest.mark.parametrize("mode", ["occurred", "now"])
def test_an_import_that_makes_events_late_stops(mode: str) -> None:
    """It says how many, and goes on only when told to."""
    queue = FakeQueue(at("2026-03-31T00:00:00Z"))
    sources = lines(event("a", "2026-03-20T00:00:00Z"), event("b", "2026-01-01T00:00:00Z"))
    with pytest.raises(ImportLateError) as caught:
        run(sources, queue, mode=mode)
    assert (caught.value.late, caught.value.too_late) == (1, 1)
    assert queue.records == []
    summary = run(sources, queue, mode=mode, allow_late=True)
    assert (summary.late, summary.too_late, len(queue.records)) == (1, 1, 2)


def test_times_beyond_the_wall_clock_are_refused() -> None:
    """Nothing can have been received in the future."""
    queue = FakeQueue()
    with pytest.raises(ClockError, match=r"a:1 .* yet to come"):
        run(lines(event("a", "2026-04-01T00:00:01Z")), queue)
    assert queue.records == []


def test_a_record_without_the_field_stops_the_import() -> None:
    """The operator named a field that is not there."""
    with pytest.raises(ImportRefusedError, match="'recordedtime'"):
        run(lines(event("a", "2026-03-01T00:00:00Z")), FakeQueue(), mode="recordedtime")


def test_unknown_customers_are_registered_before_their_usage() -> None:
    """With a plan and their projects, shares included, from 00:00 UTC of the first usage day."""
    queue = FakeQueue()
    shares = [
        {"customer_id": "globex", "project_id": "lab", "share": "0.5"},
        {"customer_id": "acme", "project_id": "bot", "share": "0.5"},
    ]
    sources = lines(
        event("a", "2026-03-02T10:00:00Z"),
        event("b", "2026-03-01T23:59:59Z"),
        event("c", "2026-03-03T00:00:00Z", allocations=shares),
    )
    summary = run(sources, queue, register=True, default_plan="basic")
    controls = [record for record in queue.records if record.kind == "control"]
    assert queue.records[: len(controls)] == controls
    assert queue.times[0] == at("2026-03-01T23:59:59Z")
    registry = Registry(change_of(record, offset) for offset, record in enumerate(controls))
    assert registry.known_customers() == ("acme", "globex")
    assert registry.projects("globex") == ("lab",)
    assert agreement_of(registry, "acme").plan_on(date(2026, 3, 1)) == "basic"
    acme = registry.customer("acme")
    assert acme is not None
    assert acme.registered_at == datetime(2026, 3, 1, tzinfo=UTC)
    assert len(summary.registered) == 6

    again = FakeQueue()
    assert run(sources, again, register=True, registry=registry).registered == []
    assert again.ids == ["b", "a", "c"]


def test_registrations_of_the_same_content_are_the_same_records() -> None:
    """Their ids derive from what they say."""
    one, two = FakeQueue(), FakeQueue()
    for queue in (one, two):
        run(lines(event("a", "2026-03-02T10:00:00Z")), queue, register=True)
    assert one.records == two.records


def test_a_known_customer_gets_only_what_is_new() -> None:
    """A new project is registered, the plan stays as it is."""
    known = Registry(
        [
            RegistryChange("customer", "acme", "register", date(2026, 1, 1)),
            RegistryChange("plan_assignment", "acme", "assign", date(2026, 1, 1), {"plan": "scale"}),
        ]
    )
    summary = run(lines(event("a", "2026-03-02T10:00:00Z")), FakeQueue(), register=True, registry=known)
    assert [(change.entity, change.entity_id) for change in summary.registered] == [("project", "acme/bot")]


def test_without_register_unknown_payers_are_counted() -> None:
    """They are left to be rejected, and said."""
    queue = FakeQueue()
    summary = run(lines(event("a", "2026-03-02T10:00:00Z")), queue)
    assert summary.unknown_payers == {("acme", "bot"): 1}
    assert queue.ids == ["a"]


def test_progress_is_told_to_the_end() -> None:
    """Reading has no total before its end, appending has."""
    told: list[tuple[str, int, int | None]] = []
    report: Callable[[str, int, int | None], None] = lambda *step: told.append(step)  # noqa: E731 - a recorder
    run(lines(*(event(str(n), "2026-03-02T10:00:00Z") for n in range(2_500))), FakeQueue(), progress=report)
    assert told[0] == ("read", 1_000, None)
    assert ("read", 2_500, 2_500) in told
    assert told[-1] == ("append", 2_500, 2_500)


def test_an_empty_input_appends_nothing() -> None:
    """And is no error."""
    summary = run([], FakeQueue(), register=True)
    assert (summary.records, summary.next_offset) == (0, None)
