"""`billing requeue`: progress while it runs, what was found, sent and skipped after it."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from billing_pipeline.ingest.requeuing import RequeueRequest, RequeueSummary, requeue
from billing_pipeline.pipeline import Pipeline

_SKIPPED = {
    "decided": "sent again before; what became of it stands under its new offset",
    "undecided": "sent again before; not decided yet, close its day first",
    "cut_off": "only its first 64 KiB were kept; its producer must send it",
    "beyond_limit": "beyond --limit; run it again",
}


def run_requeue(pipeline: Pipeline, request: RequeueRequest) -> RequeueSummary:
    """Send refused records again, and print how many were found, sent and skipped.

    Raises:
        RequeueCodeError: nothing was refused by that code, and there is no such code.
    """
    console = Console()
    columns = (TextColumn("sending again"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with pipeline.queue() as queue, Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("sending", total=None)
        summary = requeue(
            pipeline.workshop,
            pipeline.lander(queue),
            request,
            lambda sent, of: bars.update(task, completed=sent, total=of),
        )
    _print(console, request, summary)
    return summary


def _print(console: Console, request: RequeueRequest, summary: RequeueSummary) -> None:
    of_day = "" if request.day is None else f" on {request.day}"
    table = Table(title=f"Records refused as {request.reason}{of_day}", title_justify="left")
    table.add_column("outcome")
    table.add_column("records", justify="right")
    for name, count in summary.found.items():
        table.add_row(f"found in {name}", f"{count:,}")
    if not summary.found:
        table.add_row("found", "0")
    table.add_section()
    table.add_row("to be sent" if request.dry_run else "sent", f"{summary.to_send:,}")
    for cause, count in summary.skipped.items():
        table.add_row(f"skipped: {_SKIPPED[cause]}", f"{count:,}")
    console.print(table)
    if request.dry_run:
        console.print("Nothing was sent: this was a dry run.")
        if summary.not_landed:
            console.print(
                f"{summary.not_landed:,} records of the queue are not in the lake yet; "
                "what was sent again among them is not known here."
            )
    elif summary.offsets:
        first, last = summary.offsets[0].start, summary.offsets[-1].stop - 1
        console.print(f"Offsets {first:,} to {last:,} of the log; the next close decides them.")
