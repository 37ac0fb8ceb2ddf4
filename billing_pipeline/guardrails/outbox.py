"""The outbox: usage events of settled holds, written with the settle, brought into the log afterwards.

At least once: a process that dies between the log and the mark sends the same events again, and the log finds them to
be duplicates by their identity.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec
from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, func, insert, select, update

from billing_pipeline.contract.door import Admitted, admit
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.log_lines import body_of
from billing_pipeline.control.clock import now_us
from billing_pipeline.control.database import writing
from billing_pipeline.control.guard_tables import GUARD_NOTICES, GUARD_OUTBOX
from billing_pipeline.ingest.queue import Queue

PRODUCER = "guard"
BATCH_EVENTS = 1000
"""In one append: of the largest events there may be 16 MiB, which a batch may have."""
BATCH_BYTES = 8 << 20
REFUSED = "outbox_refused"


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """How many events wait, and since when (UTC µs)."""

    unsent: int
    oldest_at: int | None


@dataclass(slots=True)
class _Batch:
    sent: list[int] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    refused: list[tuple[int, str, LogRecord]] = field(default_factory=list)


class OutboxSender:
    """Brings unsent events into the queue, in their order. One at a time works on a control database."""

    def __init__(self, control: Engine, queue: Queue, clock_us: Callable[[], int] = now_us) -> None:
        self._control = control
        self._queue = queue
        self._clock_us = clock_us

    def send(self, batches: int = 10) -> int:
        """Send at most so many batches; returns how many events are in the log now.

        Raises:
            QueueError: the log did not take them; they stay unsent.
        """
        sent = 0
        for _ in range(batches):
            with self._turn() as connection:
                found = self._send_batch(connection) if connection is not None else None
            if found is None:
                break
            sent += found
        return sent

    def _send_batch(self, connection: Connection) -> int | None:
        table = GUARD_OUTBOX.c
        query = (
            select(table.id, table.hold_id, table.payload)
            .where(table.sent_at.is_(None))
            .order_by(table.id)
            .limit(BATCH_EVENTS)
            .with_for_update(skip_locked=True)
        )
        rows = connection.execute(query).all()
        if not rows:
            return None
        if connection.dialect.name == "sqlite":
            connection.rollback()  # the settles of others go on while the log is written
        batch = _batch([(row.id, row.hold_id, row.payload) for row in rows])
        if batch.lines:
            self._queue.submit(PRODUCER, body_of(batch.lines)).result()
        if connection.dialect.name == "sqlite":
            with writing(self._control) as marking:
                self._mark(marking, batch)
        else:
            self._mark(connection, batch)
        return len(batch.lines)

    def _mark(self, connection: Connection, batch: _Batch) -> None:
        now = self._clock_us()
        table = GUARD_OUTBOX.c
        ids = batch.sent + [outbox_id for outbox_id, _, _ in batch.refused]
        marked = connection.execute(
            update(GUARD_OUTBOX)
            .where(table.id.in_(ids), table.sent_at.is_(None))
            .values(sent_at=now)
            .returning(table.id)
        )
        mine = set(marked.scalars())
        notices = [_notice(now, *refused) for refused in batch.refused if refused[0] in mine]
        if notices:
            connection.execute(insert(GUARD_NOTICES), notices)

    @contextmanager
    def _turn(self) -> Iterator[Connection | None]:
        """A transaction of the only sender at work, or None where another process is at it."""
        if self._control.dialect.name != "sqlite":
            with self._control.begin() as connection:  # the rows are locked, and others skip them
                yield connection
            return
        lock = FileLock(f"{self._control.url.database}.outbox.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield None
            return
        try:
            with self._control.connect() as connection:
                yield connection
        finally:
            lock.release()


def outbox_status(control: Engine) -> OutboxStatus:
    """How much waits."""
    query = select(func.count(), func.min(GUARD_OUTBOX.c.created_at)).where(GUARD_OUTBOX.c.sent_at.is_(None))
    with control.connect() as connection:
        unsent, oldest_at = connection.execute(query).one()
    return OutboxStatus(unsent, oldest_at)


def _batch(rows: list[tuple[int, str, str]]) -> _Batch:
    batch = _Batch()
    size_bytes = 0
    for outbox_id, hold_id, payload in rows:
        found = admit(payload.encode())
        if not isinstance(found, Admitted):
            batch.refused.append((outbox_id, hold_id, found))
            continue
        size_bytes += len(found.line) + 1
        if batch.lines and size_bytes > BATCH_BYTES:
            break
        batch.lines.append(found.line)
        batch.sent.append(outbox_id)
    return batch


def _notice(now: int, outbox_id: int, hold_id: str, record: LogRecord) -> dict[str, object]:
    payload = {
        "outbox_id": outbox_id,
        "hold_id": hold_id,
        "code": record.fault_code,
        "field": record.fault_field,
        "message": record.fault_message,
    }
    return {
        "kind": REFUSED,
        "payload": msgspec.json.encode(payload).decode(),
        "created_at": now,
        "attempts": 0,
        "next_attempt_at": now,
    }
