"""`billing registry apply` and `billing rerate`: what was entered, and what the log had already."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from billing_pipeline.contract.registry import SEED_OFFSET
from billing_pipeline.errors import RegistryRefusedError
from billing_pipeline.ingest.registry_changes import Entry, apply_file, rerate
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.periods import parse_period
from billing_pipeline.terminal.registry_text import change_text


def run_apply(pipeline: Pipeline, path: Path, *, dry_run: bool) -> list[Entry]:
    """Enter what a registry file says and the log does not, and print each change.

    Raises:
        DocumentError: the file has faults; nothing was appended.
    """
    with pipeline.queue() as queue:
        entries = apply_file(pipeline.workshop, pipeline.lander(queue), path, dry_run=dry_run)
    console = Console()
    console.print(_table(path, entries, dry_run=dry_run))
    new = sum(entry.is_new for entry in entries)
    if dry_run:
        console.print("Nothing was appended: this was a dry run.")
    elif new:
        console.print(f"{new:,} changes appended; usage and invoices see them from here on.")
    else:
        console.print("The log has all of it already; nothing was appended.")
    retroactive = sum(entry.is_new and entry.is_retroactive for entry in entries)
    if retroactive:
        console.print(
            f"{retroactive:,} of the new ones begin before the usage period that runs now. A period that has been "
            "rated keeps what was known then; `billing rerate` has it rated again.",
            soft_wrap=True,
        )
    return entries


def run_rerate(
    pipeline: Pipeline, customer_id: str, period: str, *, rules: str | None, who: str, why: str
) -> None:
    """Have a usage period rated again by the next invoice.

    Raises:
        RegistryRefusedError: there is no such customer, ended period or rule version, or a name or reason is missing.
    """
    try:
        start = parse_period(period)
    except ValueError as error:
        raise RegistryRefusedError(str(error)) from error
    with pipeline.queue() as queue:
        entry = rerate(
            pipeline.workshop, pipeline.lander(queue), customer_id, start, rules=rules, who=who, why=why
        )
    Console().print(
        f"{change_text(entry.change)}: offset {entry.queue_offset} of the log. The customer's next invoice books the "
        "difference.",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )


def _table(path: Path, entries: Sequence[Entry], *, dry_run: bool) -> Table:
    table = Table(title=escape(f"Registry changes of {path}"), title_justify="left")
    table.add_column("change", ratio=1)
    table.add_column("since", no_wrap=True)
    table.add_column("log", no_wrap=True)
    for entry in entries:
        table.add_row(
            escape(change_text(entry.change)), f"{entry.change.effective_at:%Y-%m-%d}", _place(entry, dry_run)
        )
    return table


def _place(entry: Entry, dry_run: bool) -> str:
    if entry.is_new:
        return "would be appended" if dry_run else f"appended at {entry.queue_offset}"
    return "known: seed" if entry.queue_offset == SEED_OFFSET else f"known at {entry.queue_offset}"
