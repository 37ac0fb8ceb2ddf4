"""`billing period`: the close of invoice periods."""

import click


@click.group()
def period() -> None:
    """Invoice periods: send their invoices, see what became of each."""


@period.command("close")
@click.argument("name", metavar="PERIOD")
@click.option("--dry-run", is_flag=True, help="Ask the gate and show what would happen; nothing is sent.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def period_close(name: str, *, dry_run: bool, as_json: bool) -> None:
    """Send the invoices of the periods that start in PERIOD (2026-10, or a day): draft, verify, finalize.

    Whoever is blocked or held is listed with the reason; the others go on. Run it again as often as you like.
    """
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.settings import load_settings
    from billing_pipeline.terminal.period_report import run_period_close

    run_period_close(Pipeline(load_settings()), name, dry_run=dry_run, as_json=as_json)


@period.command("status")
@click.argument("name", metavar="PERIOD")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def period_status(name: str, *, as_json: bool) -> None:
    """Show what became of every invoice of the periods that start in PERIOD; nothing is asked of Stripe."""
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.settings import load_settings
    from billing_pipeline.terminal.period_report import show_periods

    show_periods(Pipeline(load_settings()), name, as_json=as_json)
