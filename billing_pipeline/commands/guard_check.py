"""`billing guard check`: what is wrong with the guard's policies, and what holds for each plan."""

import sys
from pathlib import Path

import click

from billing_pipeline.commands import guard_shown as shown


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Status 1 also where there are warnings.")
@shown.as_json
def check(file: Path | None, strict: bool, as_json: bool) -> None:
    """Say what is wrong with the policies in FILE (default: guard.yaml beside the rule books), and what holds.

    Faults come with file, line and field, and end with status 1 (docs/guard-policies.md). Where there are none, it
    shows what holds for each plan, and how the usage of each charge is priced before it is used.
    """
    from billing_pipeline.commands.guard_check_report import check_guard

    if not check_guard(shown.pipeline(), file, strict=strict, as_json=as_json):
        sys.exit(1)
