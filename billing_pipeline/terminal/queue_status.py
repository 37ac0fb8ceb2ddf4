"""`billing queue status`, `billing queue advance` and `billing queue prune`."""

import json
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from billing_pipeline.contract.instants import instant_text, instant_us
from billing_pipeline.control.clock import now_us
from billing_pipeline.errors import ClockError
from billing_pipeline.ingest.pruning import prune_landed
from billing_pipeline.ingest.queue import Queue, QueueStatus
from billing_pipeline.pipeline import Pipeline


@dataclass(frozen=True)
class Backlog:
    """What has still to be landed: how many records, and when the first of them came (UTC µs)."""

    depth: int
    oldest_received_at: int | None

    def lag_seconds(self, now: int) -> float:
        """For how long the oldest one has waited at an instant (UTC µs); 0 where nothing waits."""
        return 0.0 if self.oldest_received_at is None else max(0, now - self.oldest_received_at) / 1e6


def show_queue(pipeline: Pipeline, *, as_json: bool = False) -> None:
    """Print where the log ends, where its clock stands, and what has still to be landed for how long."""
    with pipeline.queue() as queue:
        landed = pipeline.lander(queue).landed_until()
        status = queue.status()
        backlog = _backlog(queue, status, landed)
    lag_seconds = backlog.lag_seconds(now_us())
    if as_json:
        document = _document(status, backlog, landed, lag_seconds)
        print(json.dumps(document, ensure_ascii=False, indent=2))  # noqa: T201 - the command's output
    else:
        _print(status, backlog, lag_seconds)


def advance_queue(pipeline: Pipeline, instant: str) -> None:
    """Move the queue's clock on, durably.

    Raises:
        ClockError: the text is no instant, or the clock cannot be moved there.
    """
    to = instant_us(instant)
    if to is None:
        raise ClockError(f"--to {instant!r} is no instant with an offset; write 2026-11-01T01:00:00Z")
    with pipeline.queue() as queue:
        queue.advance(to)
        Console().print(f"The queue's clock stands at {instant_text(queue.clock())}.")


def prune_queue(pipeline: Pipeline, keep_days: int) -> None:
    """Delete what was landed and received more than so many days ago, and say what went.

    Raises:
        LakeError: the lake does not prove to hold it; nothing is deleted.
        QueueError: the queue cannot be pruned.
    """
    with pipeline.queue() as queue:
        lander = pipeline.lander(queue)
        pruned = prune_landed(lander, queue, keep_days, now_us())
        kept, pending = queue.next_offset() - pruned.first_kept_offset, lander.pending()
    Console().print(
        f"Pruned {pruned.batches:,} batches with {pruned.records:,} records, {pruned.size_bytes:,} bytes. "
        f"{kept:,} records are kept from offset {pruned.first_kept_offset:,} on, {pending:,} of them not yet landed."
    )


def _backlog(queue: Queue, status: QueueStatus, landed: int) -> Backlog:
    depth = max(0, status.next_offset - landed)
    batches = queue.read_from(landed, 1) if depth else []
    if not batches:
        return Backlog(depth, None)
    return Backlog(depth, batches[0].receipt_times()[landed - batches[0].first_offset])


def _print(status: QueueStatus, backlog: Backlog, lag_seconds: float) -> None:
    table = Table(title=f"Queue {status.location}", title_justify="left", show_header=False)
    table.add_column("what")
    table.add_column("value", justify="right")
    table.add_row("records in the log", f"{status.next_offset:,}")
    table.add_row("not yet landed", f"{backlog.depth:,}")
    table.add_row("oldest not landed", _told(backlog.oldest_received_at) if backlog.depth else "none")
    table.add_row("lag", f"{lag_seconds:,.0f} s")
    table.add_row("clock (watermark)", _told(status.clock))
    table.add_row("last receipt", _told(status.last_received_at))
    table.add_row("moved on to", _told(status.advanced_to))
    table.add_row("kept from offset", f"{status.first_kept_offset:,}")
    table.add_row("size", f"{status.size_bytes / 1e6:,.1f} MB")
    table.add_row("stored by", status.engine)
    for group, offset in sorted(status.committed.items()):
        table.add_row(f"group {group} is at", f"{offset:,}")
    Console().print(table)


def _document(status: QueueStatus, backlog: Backlog, landed: int, lag_seconds: float) -> dict[str, object]:
    return {
        "engine": status.engine,
        "location": status.location,
        "next_offset": status.next_offset,
        "first_kept_offset": status.first_kept_offset,
        "landed_until": landed,
        "depth": backlog.depth,
        "oldest_not_landed": _instant(backlog.oldest_received_at),
        "lag_seconds": lag_seconds,
        "watermark": _instant(status.clock or None),
        "last_received_at": _instant(status.last_received_at),
        "advanced_to": _instant(status.advanced_to),
        "groups": dict(sorted(status.committed.items())),
        "size_bytes": status.size_bytes,
    }


def _instant(instant: int | None) -> str | None:
    return None if instant is None else instant_text(instant)


def _told(instant: int | None) -> str:
    return instant_text(instant) if instant else "never"
