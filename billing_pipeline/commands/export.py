"""`billing export`: invoices and charges as files for others."""

from pathlib import Path

import click

OUTPUT = click.Path(dir_okay=False, path_type=Path)


@click.group()
def export() -> None:
    """Write invoices and charges for other systems; nothing is asked of Stripe, and nothing else is written."""


@export.command("focus")
@click.option("--period", required=True, help="Invoice periods that start in 2026-10, or on a day.")
@click.option(
    "--format", "output", type=click.Choice(["parquet", "csv"]), default="parquet", show_default=True
)
@click.option("-o", "--output", "path", type=OUTPUT, help="File to write; default: focus-PERIOD.FORMAT.")
@click.option(
    "--provider",
    envvar="BILLING_PROVIDER_NAME",
    default="billing_pipeline",
    show_default=True,
    help="Who sells the service and issues the invoices; the variable BILLING_PROVIDER_NAME does as well.",
)
def export_focus(period: str, output: str, path: Path | None, provider: str) -> None:
    """Write the charges of a period as a FOCUS 1.2 cost and usage dataset (docs/focus-export.md)."""
    from billing_pipeline.commands.export_files import run_focus
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.settings import load_settings

    run_focus(Pipeline(load_settings()), period, path, provider, output=output)


@export.command("invoices")
@click.option("--period", required=True, help="Invoice periods that start in 2026-10, or on a day.")
@click.option("--format", "output", type=click.Choice(["csv", "json"]), default="csv", show_default=True)
@click.option("-o", "--output", "path", type=OUTPUT, help="File to write; default: print it.")
def export_invoices(period: str, output: str, path: Path | None) -> None:
    """Write every line of every invoice of a period, with totals and where it is in Stripe."""
    from billing_pipeline.commands.export_files import run_invoices
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.settings import load_settings

    run_invoices(Pipeline(load_settings()), period, path, output=output)
