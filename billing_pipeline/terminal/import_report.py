"""`billing import`: progress while it runs, a summary by outcome after it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from billing_pipeline.contract.instants import datetime_of, instant_us
from billing_pipeline.contract.registry import Registry
from billing_pipeline.control.clock import now_us
from billing_pipeline.errors import ImportRefusedError
from billing_pipeline.ingest.import_summary import ImportSummary
from billing_pipeline.ingest.importing import Progress as Told
from billing_pipeline.ingest.importing import import_records
from billing_pipeline.ingest.receipt_times import ReceiptTimes
from billing_pipeline.ingest.sources.formats import Format, default_receipt, read_files
from billing_pipeline.ingest.sources.source_record import TraceOptions
from billing_pipeline.metering.registry_relations import registry_of_log
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.money import grouped


@dataclass(frozen=True, kw_only=True)
class ImportRequest:
    """What the command was asked for."""

    format_name: Format
    files: tuple[Path, ...]
    start: str | None
    days: int
    customers: int
    seed: int
    received_at: str | None
    register: bool
    plan: str
    strict: bool
    allow_late: bool


def run_import(pipeline: Pipeline, request: ImportRequest) -> ImportSummary:
    """Import, and print what became of it.

    Raises:
        ImportRefusedError: `--start` is no instant, or the plan is in no rule book.
    """
    options = TraceOptions(
        customers=request.customers,
        seed=request.seed,
        start=None if request.start is None else datetime_of(_instant(request.start)),
        days=request.days,
    )
    _refuse_unknown_plan(pipeline, request)
    console = Console()
    with pipeline.queue() as queue, _shown(console) as told:
        pipeline.lander(queue).land()
        summary = import_records(
            read_files(request.format_name, request.files, options),
            queue,
            registry=_registry(pipeline),
            lateness=pipeline.calendar.lateness,
            wall_clock_us=now_us(),
            receipt=ReceiptTimes(request.received_at or default_receipt(request.format_name)),
            producer=f"import/{request.format_name}",
            register=request.register,
            default_plan=request.plan,
            strict=request.strict,
            allow_late=request.allow_late,
            progress=told,
        )
    _print(console, summary, options)
    return summary


def _instant(text: str) -> int:
    found = instant_us(text)
    if found is None:
        raise ImportRefusedError(f"--start {text!r} is no instant with an offset; write 2026-10-01T00:00:00Z")
    return found


def _refuse_unknown_plan(pipeline: Pipeline, request: ImportRequest) -> None:
    known = {name for book in pipeline.books for name in book.plans}
    if request.register and request.plan not in known:
        raise ImportRefusedError(
            f"--plan {request.plan!r} is in no rule book; known are {', '.join(sorted(known))}"
        )


def _registry(pipeline: Pipeline) -> Registry:
    with pipeline.engine.session() as session:
        return registry_of_log(pipeline.workshop, session)


@contextmanager
def _shown(console: Console) -> Iterator[Told]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        tasks = {stage: bars.add_task(stage, total=None) for stage in ("read", "append")}

        def told(stage: str, done: int, of: int | None) -> None:
            bars.update(tasks[stage], completed=done, total=of)

        yield told


def _print(console: Console, summary: ImportSummary, options: TraceOptions) -> None:
    table = Table(title="Imported records", title_justify="left")
    table.add_column("outcome")
    table.add_column("records", justify="right")
    for outcome, count in sorted(summary.outcomes.items()):
        table.add_row(outcome, f"{count:,}")
    rows = (
        ("late", summary.late),
        ("too late (will be rejected)", summary.too_late),
        ("receipt times raised to the queue's clock", summary.raised),
        ("unknown customer or project (will be rejected)", summary.unknown_payers.total()),
        ("registry changes appended", len(summary.registered)),
        *((f"no tokens of class {name}, no event", count) for name, count in sorted(options.skipped.items())),
    )
    for name, count in rows:
        if count:
            table.add_row(f"  {name}", f"{count:,}")
    console.print(table)
    if summary.quantities:
        sums = Table(title="Quantities of valid usage events", title_justify="left")
        sums.add_column("unit")
        sums.add_column("token class")
        sums.add_column("quantity", justify="right")
        for (unit, token_class), quantity in sorted(summary.quantities.items()):
            sums.add_row(unit, token_class, grouped(quantity))
        console.print(sums)
    for fault in summary.faults:
        console.print(f"invalid: {fault}", markup=False, highlight=False, soft_wrap=True)
    unshown = sum(summary.fault_codes.values()) - len(summary.faults)
    if unshown:
        console.print(f"and {unshown:,} more invalid lines; all of them will be in rejected_usage_events")
    if summary.first_offset is not None and summary.next_offset is not None:
        console.print(f"Offsets {summary.first_offset:,} to {summary.next_offset - 1:,} of the log.")
