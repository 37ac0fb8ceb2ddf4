"""`billing queue status` and `billing queue advance`."""

from rich.console import Console
from rich.table import Table

from billing_pipeline.contract.instants import instant_text, instant_us
from billing_pipeline.errors import ClockError
from billing_pipeline.pipeline import Pipeline


def show_queue(pipeline: Pipeline) -> None:
    """Print where the log ends, where its clock stands, and what has still to be landed."""
    with pipeline.queue() as queue:
        status = queue.status()
        pending = pipeline.lander(queue).pending()
    table = Table(title=f"Queue {status.location}", title_justify="left", show_header=False)
    table.add_column("what")
    table.add_column("value", justify="right")
    table.add_row("records in the log", f"{status.next_offset:,}")
    table.add_row("not yet landed", f"{pending:,}")
    table.add_row("clock (watermark)", _told(status.clock))
    table.add_row("last receipt", _told(status.last_received_at))
    table.add_row("moved on to", _told(status.advanced_to))
    table.add_row("size", f"{status.size_bytes / 1e6:,.1f} MB")
    for group, offset in sorted(status.committed.items()):
        table.add_row(f"group {group} is at", f"{offset:,}")
    Console().print(table)


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


def _told(instant: int | None) -> str:
    return instant_text(instant) if instant else "never"
