"""Sends refused records again: the bytes as they came, after what stood in their way has been mended.

Every record that is sent carries the offset of the refused one it stands for (`requeued_offset`), and an offset that
the log names so is never sent again. So each refused record is sent at most once, whoever asks how often and however a
run ends; if the new try is refused as well, that one is a record of its own, and may be sent again in its turn.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import msgspec

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.parsing import parse
from billing_pipeline.errors import RequeueCodeError
from billing_pipeline.ingest.landing import Lander
from billing_pipeline.ingest.refused_records import SQL, codes_found, counts, find_refused, known_codes
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.stage import Workshop, scan
from billing_pipeline.schemas.tables import RAW_USAGE_EVENTS

PRODUCER = "requeue"
BATCH_RECORDS = 5_000
BATCH_BYTES = 4 * 1024 * 1024
PAGE_RECORDS = 1_000
"""Records whose bytes are held in Python at once: 64 MiB where every one is as long as may be."""

Progress = Callable[[int, int], None]
"""Told how many records are sent, and of how many."""

_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True)
class RequeueRequest:
    """What is to be sent again: the code, one receipt day or all, at most how many, or only to be counted."""

    reason: str
    day: date | None = None
    limit: int | None = None
    dry_run: bool = False


@dataclass
class RequeueSummary:
    """What was found and what became of it: `found` is what is to be sent and what is skipped."""

    found: dict[str, int]
    """By the table that holds the refusal."""
    to_send: int
    skipped: dict[str, int]
    """By cause: decided, undecided (both: sent again before), cut_off, beyond_limit."""
    not_landed: int = 0
    """Records of the queue that a dry run has not looked at."""
    offsets: list[range] = field(default_factory=list)
    """Those of the records sent, batch after batch."""

    @property
    def sent(self) -> int:
        """How many records are in the log again."""
        return sum(map(len, self.offsets))


def requeue(
    workshop: Workshop, lander: Lander, request: RequeueRequest, progress: Progress | None = None
) -> RequeueSummary:
    """Append the bytes of refused records to the queue again, batch after batch, each durable when it is counted.

    The queue is landed first, so that the lake names every record that was ever sent again; a dry run does not land,
    and takes no lock.

    Args:
        workshop: the lake with the refusals.
        lander: brings the queue, which takes the records, into that lake.
        request: what to send.
        progress: told how far it is.

    Raises:
        RequeueCodeError: nothing was refused by that code, and it is none by which anything is.
        LakeError: another requeue is under way.
        QueueError: a batch could not be appended. Those before it are in the log; run it again for the rest.
    """
    with nullcontext() if request.dry_run else workshop.lake.lock(PRODUCER):
        if not request.dry_run:
            lander.land()
        with workshop.engine.session() as session:
            find_refused(workshop, session, request.reason, request.day, request.limit)
            summary = _summary(session)
            if not summary.found and request.reason not in known_codes():
                raise RequeueCodeError(request.reason, codes_found(session))
            if request.dry_run:
                summary.not_landed = lander.pending()
                return summary
            for records in _batches(_records(workshop, session)):
                summary.offsets.append(lander.queue.append(PRODUCER, records))
                if progress is not None:
                    progress(summary.sent, summary.to_send)
    return summary


def _summary(session: Session) -> RequeueSummary:
    found = counts(session, "SELECT found_in, count(*) FROM found GROUP BY found_in ORDER BY found_in")
    skipped = counts(
        session,
        "SELECT skipped_as, count(*) FROM found WHERE skipped_as IS NOT NULL "
        "GROUP BY skipped_as ORDER BY skipped_as",
    )
    return RequeueSummary(found, sum(found.values()) - sum(skipped.values()), skipped)


def _records(workshop: Workshop, session: Session) -> Iterator[LogRecord]:
    """What is to be sent, in the order of the log; a receipt day at a time, page by page."""
    spans: list[tuple[Any, ...]] = session.rows(
        "SELECT receipt_day, min(place), max(place) FROM found WHERE place IS NOT NULL "
        "GROUP BY receipt_day ORDER BY receipt_day"
    )
    for day, first, last in spans:
        scan(workshop, session, "raw", RAW_USAGE_EVENTS, [day])
        session.keep("payloads", SQL / "requeue_payloads.sql")
        for start in range(first, last + 1, PAGE_RECORDS):
            page = session.rows(
                "SELECT payload, epoch_us(first_received_at), queue_offset FROM payloads "
                f"WHERE place >= {start} AND place < {start + PAGE_RECORDS} ORDER BY place"
            )
            yield from map(_again, page)


def _again(row: tuple[Any, ...]) -> LogRecord:
    """The record of some bytes as it would be if they came now for the first time, and what it stands for."""
    payload, first_received_at, queue_offset = row
    return msgspec.structs.replace(
        parse(payload), first_received_at=first_received_at, requeued_offset=queue_offset
    )


def _batches(records: Iterable[LogRecord]) -> Iterator[list[LogRecord]]:
    """The records in order, as many at a time as one append takes."""
    batch: list[LogRecord] = []
    size = 0
    for record in records:
        length = len(_ENCODER.encode(record))
        if batch and (len(batch) == BATCH_RECORDS or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += length
    if batch:
        yield batch
