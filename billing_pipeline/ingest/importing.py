"""Imports events from files into the durable queue: the same validation, receipt times of history, one order.

Everything is read, parsed and put in the order of (receipt time, file, line) before anything is appended,
so an import either stops with the log as it was, or appends all of it.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Literal, Protocol

from billing_pipeline.contract.instants import instant_text
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.parsing import parse
from billing_pipeline.contract.registry import Registry, change_id, control_record
from billing_pipeline.errors import ClockError, ImportFaultsError, ImportLateError, ImportRefusedError
from billing_pipeline.ingest.import_summary import ImportSummary
from billing_pipeline.ingest.new_payers import NewPayers
from billing_pipeline.ingest.receipt_times import NOW, ReceiptTimes
from billing_pipeline.ingest.sources.source_record import SourceRecord
from billing_pipeline.ingest.spool import Spool

Lateness = Callable[[int, int], Literal["on_time", "late", "too_late"]]
"""Of occurred_at and received_at, both UTC microseconds."""
Progress = Callable[[Literal["read", "append"], int, int | None], None]
"""Told the stage, how many records are done, and of how many (None while reading)."""

PROGRESS_RECORDS = 1_000


class ImportQueue(Protocol):
    """What an import needs of the durable queue."""

    def clock(self) -> int:
        """UTC microseconds before which no later record can be received."""

    def append(
        self, producer: str, records: Sequence[LogRecord], received_at: Sequence[int] | None = None
    ) -> range:
        """Accept records durably; their offsets."""

    def keep_turn(self) -> AbstractContextManager[None]:
        """While it lasts nobody else appends or moves the clock between the appends made within."""


def import_records(
    sources: Iterable[SourceRecord],
    queue: ImportQueue,
    *,
    registry: Registry,
    lateness: Lateness,
    wall_clock_us: int,
    receipt: ReceiptTimes,
    producer: str = "import",
    register: bool = False,
    default_plan: str = "standard",
    strict: bool = False,
    allow_late: bool = False,
    progress: Progress | None = None,
    spool_folder: Path | None = None,
) -> ImportSummary:
    """Import events; invalid ones go into the log too, to be rejected there with their reason.

    Args:
        sources: the events, file after file and line after line.
        queue: takes the records.
        registry: as the log stands now.
        lateness: whether an event is late under the rules in force.
        wall_clock_us: now, in UTC microseconds; receipt times beyond it are refused.
        receipt: how receipt times are made. An invalid record gets that of the record before it.
        producer: the name under which the queue keeps the batches.
        register: whether to register unknown customers and projects, from 00:00 UTC of their first usage day.
        default_plan: the plan that customers registered here get.
        strict: whether one invalid record stops the import.
        allow_late: whether to go on where receipt times make events late or too late.
        progress: told how far the import is.
        spool_folder: where what was read is held meanwhile; the system's folder for such files by default.

    Raises:
        ImportFaultsError: a record is invalid and the import is strict.
        ImportLateError: events would be late or too late and that was not allowed.
        ImportRefusedError: a record has no receipt time in the field that should hold it.
        ClockError: a receipt time lies beyond the wall clock.
    """
    summary = ImportSummary()
    payers = NewPayers(registry)
    told = progress or _untold
    with Spool(spool_folder) as spool:
        reader = _Reader(
            summary,
            payers,
            lateness,
            receipt,
            wall_clock_us=wall_clock_us,
            queue_clock_us=queue.clock(),
        )
        for record, received_at in reader.read(sources, told):
            spool.add(record, received_at)
        if strict and summary.faults:
            raise ImportFaultsError(summary.outcomes["invalid"], str(summary.faults[0]))
        if (summary.late or summary.too_late) and not allow_late:
            raise ImportLateError(summary.late, summary.too_late, summary.raised)
        if register:
            summary.registered = payers.changes(default_plan)
        else:
            summary.unknown_payers = payers.events
        _append(spool, queue, summary, producer, told, with_times=reader.brings_times)
    return summary


class _Reader:
    """Parses the input, gives each record its receipt time, and counts what that does."""

    def __init__(
        self,
        summary: ImportSummary,
        payers: NewPayers,
        lateness: Lateness,
        receipt: ReceiptTimes,
        *,
        wall_clock_us: int,
        queue_clock_us: int,
    ) -> None:
        self._summary = summary
        self._payers = payers
        self._lateness = lateness
        self._receipt = receipt
        self._wall_clock_us = wall_clock_us
        self._queue_clock_us = queue_clock_us
        self.brings_times = receipt.mode != NOW
        """Whether the records' receipt times are their own, or the queue's to stamp."""

    def read(self, sources: Iterable[SourceRecord], told: Progress) -> Iterable[tuple[LogRecord, int]]:
        """The records with their receipt times in UTC microseconds, not before the queue's clock."""
        preceding: int | None = None
        # Invalid records with none before them get the first time that there is.
        leading: list[LogRecord] = []
        for source in sources:
            record = parse(source.payload)
            self.brings_times |= source.received_at is not None
            self._summary.count(source, record)
            if record.kind == "invalid" and source.received_at is None:
                if preceding is None:
                    leading.append(record)
                else:
                    yield record, preceding
                continue
            received_at = self._received_at(source, record)
            yield from ((early, received_at) for early in leading)
            leading.clear()
            yield record, received_at
            preceding = received_at
            if record.kind == "usage":
                self._see_usage(record, received_at)
            if self._summary.records % PROGRESS_RECORDS == 0:
                told("read", self._summary.records, None)
        yield from ((early, self._queue_clock_us) for early in leading)
        told("read", self._summary.records, self._summary.records)

    def _received_at(self, source: SourceRecord, record: LogRecord) -> int:
        own = self._receipt.of(source, record)
        if own is None and self._receipt.mode != NOW:
            raise ImportRefusedError(
                f"{source.file}:{source.line} has no instant in {self._receipt.mode!r} as its receipt time; "
                "nothing was appended. Name another field with --received-at"
            )
        received_at = self._wall_clock_us if own is None else own
        if received_at > self._wall_clock_us:
            raise ClockError(
                f"{source.file}:{source.line} would be received at {instant_text(received_at)}, which is "
                "yet to come; nothing was appended. Give receipt times up to now"
            )
        if received_at < self._queue_clock_us:
            self._summary.raised += 1
            return self._queue_clock_us
        return received_at

    def _see_usage(self, record: LogRecord, received_at: int) -> None:
        self._payers.see(record)
        match self._lateness(record.occurred_at or 0, received_at):
            case "late":
                self._summary.late += 1
            case "too_late":
                self._summary.too_late += 1
            case _:
                pass


def _append(
    spool: Spool,
    queue: ImportQueue,
    summary: ImportSummary,
    producer: str,
    told: Progress,
    *,
    with_times: bool,
) -> None:
    changes = [control_record(change, change_id(change)) for change in summary.registered]
    done = 0
    # A record stamped in between would leave the rest of the history before the queue's clock.
    with queue.keep_turn() if with_times else nullcontext():
        for records, times in spool.batches():
            if changes:
                _note(
                    summary,
                    queue.append("registry", changes, [times[0]] * len(changes) if with_times else None),
                )
                changes = []
            _note(summary, queue.append(producer, records, times if with_times else None))
            done += len(records)
            told("append", done, len(spool))


def _note(summary: ImportSummary, offsets: range) -> None:
    if summary.first_offset is None:
        summary.first_offset = offsets.start
    summary.next_offset = offsets.stop


def _untold(stage: Literal["read", "append"], done: int, total: int | None) -> None:
    """Nobody wants to know."""
