"""`billing verify`: progress while it looks, a table of the checks after it, and every fault in full."""

import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from billing_pipeline.audit.report import Check, DayRange, counted
from billing_pipeline.audit.verify import verify
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.terminal.progress import shown_progress

FAULTS_SHOWN = 20
"""Of one check; `--json` has all of them."""


def run_verify(pipeline: Pipeline, days: DayRange, *, as_json: bool) -> bool:
    """Make all checks and print them; whether none has a fault."""
    with shown_progress("opening") as told:
        checks = list(verify(pipeline.workshop, pipeline.control, days, told))
    sound = not any(check.faults for check in checks)
    if as_json:
        print(json.dumps(_document(checks), ensure_ascii=False, indent=2))  # noqa: T201 - the command's output
    else:
        _print(Console(), checks)
    return sound


def _document(checks: Sequence[Check]) -> dict[str, object]:
    return {
        "ok": not any(check.faults for check in checks),
        "checks": [
            {
                "check": check.name,
                "looked_at": check.looked_at,
                "faults": check.faults,
                "warnings": check.warnings,
            }
            for check in checks
        ],
    }


def _print(console: Console, checks: Sequence[Check]) -> None:
    table = Table(title="Verified", title_justify="left")
    table.add_column("check", no_wrap=True)
    table.add_column("looked at", overflow="fold")
    table.add_column("faults", justify="right")
    for check in checks:
        faults = f"[red]{len(check.faults):,}[/red]" if check.faults else "0"
        table.add_row(check.name, check.looked_at, faults)
    console.print(table)
    for check in checks:
        _tell(console, check.name, check.faults, "red")
        _tell(console, check.name, [f"warning: {each}" for each in check.warnings], "yellow")
    total = sum(len(check.faults) for check in checks)
    console.print(
        f"{counted(total, 'fault')} found." if total else "Everything holds: no fault was found.",
        style="bold red" if total else "bold",
    )


def _tell(console: Console, name: str, sentences: Sequence[str], style: str) -> None:
    for sentence in sentences[:FAULTS_SHOWN]:
        console.print(f"{name}: {sentence}", style=style, markup=False, highlight=False, soft_wrap=True)
    if len(sentences) > FAULTS_SHOWN:
        console.print(f"{name}: and {len(sentences) - FAULTS_SHOWN:,} more; --json has them all", style=style)
