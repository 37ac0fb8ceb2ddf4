"""Landing: the queue's records into the append-only raw table, exactly once, by ranges of offsets.

Each landed stretch is one snapshot that carries the offset after it and a link of the chain of landings. What has
been landed is read from the table itself, never from the queue's group: killed between writing and committing,
nothing counts; killed between the commit and the queue's acknowledgement, the next run goes on behind what is there.
"""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from billing_pipeline.control.clock import now_us
from billing_pipeline.control.landings import LandedFile, record_landings
from billing_pipeline.errors import LakeError, QueueCorruptError
from billing_pipeline.ingest.landing_chain import (
    NEXT_OFFSET,
    landed_file,
    landing_of,
    link_properties,
    mended_head,
)
from billing_pipeline.ingest.line_table import line_table
from billing_pipeline.ingest.queue import Batch, Queue
from billing_pipeline.ingest.stored_queue import LANDING
from billing_pipeline.lake.engine import Engine, Session
from billing_pipeline.lake.iceberg import Lake
from billing_pipeline.metering.calendar import Calendar, days_between
from billing_pipeline.schemas.table import Column, ColumnType
from billing_pipeline.schemas.tables import RAW_USAGE_EVENTS

if TYPE_CHECKING:
    from sqlalchemy import Engine as ControlDatabase

LAST_RECEIVED = "billing.last-received-at"
STRETCH_RECORDS = 1_000_000
"""Records landed in one snapshot at most: bounds memory and scratch space, also after a day's outage."""

SQL = Path(__file__).parent / "sql"

DAY_COLUMNS = (
    Column("day", ColumnType.DAY, "receipt day"),
    Column("opens_at", ColumnType.WHOLE, "first instant, microseconds"),
    Column("closes_at", ColumnType.WHOLE, "first instant after it, microseconds"),
)


@dataclass(frozen=True)
class Landed:
    """What one landing did: the range of offsets, and rows by receipt day."""

    first_offset: int
    next_offset: int
    rows: dict[date, int]


@dataclass(frozen=True)
class Lander:
    """Brings the queue into the lake. Several may be started at once: they take turns."""

    queue: Queue
    lake: Lake
    engine: Engine
    calendar: Calendar
    control: "ControlDatabase"
    stretch_records: int = STRETCH_RECORDS

    def pending(self) -> int:
        """Records that are in the queue and not yet in the raw table."""
        return self.queue.next_offset() - self.landed_until()

    def landed_until(self) -> int:
        """The offset after the last landed record."""
        return int(self.lake.summary(RAW_USAGE_EVENTS, NEXT_OFFSET) or 0)

    def watermark(self) -> int:
        """UTC µs before which nothing is received that is not in the lake.

        That is the queue's clock once all it holds has landed; while more keeps coming, the receipt time of the last
        landed record, as receipt times never go back along the log.
        """
        clock = self.queue.clock()
        if self.pending() == 0:
            return clock
        return int(self.lake.summary(RAW_USAGE_EVENTS, LAST_RECEIVED) or 0)

    def land(self, progress: Callable[[int], None] | None = None) -> Landed:
        """Land everything the queue holds now.

        Raises:
            LakeError: the raw table holds more than the queue, so the two do not belong together; or another
                process lands for longer than the lock is waited for.
            LandingChainError: the raw table is not what was recorded of it.
            QueueCorruptError: a batch is damaged; everything before it has been landed.
        """
        rows: dict[date, int] = {}
        with self.lake.lock("landing"):
            chain = mended_head(self.lake, self.control)
            first = position = self.landed_until()
            end = self.queue.next_offset()
            if first > end:
                raise LakeError(
                    f"{RAW_USAGE_EVENTS.name} holds offsets up to {first}, the queue only up to {end}; "
                    "queue and lake are of different homes: restore the queue, or start a fresh home"
                )
            while position < end:
                position, chain = self._land_stretch(position, end, rows, chain)
                if progress is not None:
                    progress(position - first)
            self._acknowledge(position)
        return Landed(first, position, rows)

    def _land_stretch(self, start: int, end: int, rows: dict[date, int], chain: str) -> tuple[int, str]:
        """Land up to `stretch_records` records from an offset on, as one snapshot.

        Returns the offset after them, and the chain with them. Files are hashed while the next ones are written.
        """
        self.engine.scratch.mkdir(parents=True, exist_ok=True)
        files: list[Path] = []
        hashed: list[Future[LandedFile]] = []
        position, last_received_at = start, 0
        with (
            closing(self._reads(start, end)) as reads,
            ThreadPoolExecutor(1, "hash") as hashing,
        ):
            try:
                for batches in reads:
                    with self.engine.session() as session:
                        written = self._write(session, batches, rows)
                    files += written
                    hashed += [hashing.submit(landed_file, path) for path in written]
                    position, last_received_at = batches[-1].next_offset, batches[-1].last_received_at
            except QueueCorruptError:
                # What stands before the damage is landed; the next stretch begins at it and fails.
                if not files:
                    raise
        link = link_properties(chain, start, position, [each.result() for each in hashed])
        commit = self.lake.append(RAW_USAGE_EVENTS, files, {**link, LAST_RECEIVED: str(last_received_at)})
        landing = landing_of(commit.written_snapshot, link)
        assert landing is not None  # noqa: S101 - it was linked right here
        record_landings(self.control, [landing], now_us())
        self._acknowledge(position)
        return position, landing.chain

    def _acknowledge(self, position: int) -> None:
        # A lake that was lost and is landed anew stands behind what the queue was told before.
        if self.queue.committed(LANDING) < position:
            self.queue.commit(LANDING, position)

    def _reads(self, start: int, end: int) -> Generator[list[Batch]]:
        """The batches of a stretch, as many as the queue gives at once; the next ones are read meanwhile."""
        stop = min(end, start + self.stretch_records)
        with ThreadPoolExecutor(1, "read ahead") as pool:
            position = start
            ahead = pool.submit(self.queue.read_from, start, stop - start)
            while position < stop:
                batches = ahead.result()
                if not batches:
                    raise LakeError(
                        f"the queue ends at offset {end} but holds no batch at {position}; restore it"
                    )
                position = batches[-1].next_offset
                if position < stop:
                    ahead = pool.submit(self.queue.read_from, position, stop - position)
                yield batches

    def _write(self, session: Session, batches: Sequence[Batch], rows: dict[date, int]) -> list[Path]:
        """Write the records of some batches, a file per receipt day."""
        session.load_arrow("lines", line_table(batches))
        first, last = batches[0].first_received_at, batches[-1].last_received_at
        days = days_between(self.calendar.receipt_day(first), self.calendar.receipt_day(last))
        entries = [self.calendar.entry(day) for day in days]
        session.load("days", DAY_COLUMNS, [(entry.day, entry.opens_at, entry.closes_at) for entry in entries])
        define_landed(session, len(days))
        files = []
        landed = 0
        for day in days:
            path = self.lake.new_file(RAW_USAGE_EVENTS)
            written = session.write(RAW_USAGE_EVENTS, "landed", path, f"receipt_day = DATE '{day}'")
            if written is not None:
                files.append(written.path)
                landed += written.rows
                rows[day] = rows.get(day, 0) + written.rows
        expected = batches[-1].next_offset - batches[0].first_offset
        if landed != expected:
            raise LakeError(f"{expected} records were to be landed and {landed} were; nothing is committed")
        return files


def define_landed(session: Session, days: int) -> None:
    """Name `landed`: the rows of the raw table that the relations `lines` and `days` stand for.

    It is computed whenever it is read, which for more than one day is too often.
    """
    session.define("landed_plain", SQL / "landed_plain.sql")
    session.define("landed_records", SQL / "landed_records.sql")
    make = session.define if days == 1 else session.keep
    make("landed", SQL / "landed.sql")
