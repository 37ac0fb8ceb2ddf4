"""`billing invoice`: what finance reads."""

import click


@click.group()
def invoice() -> None:
    """Invoices."""


@invoice.command("show")
@click.argument("customer")
@click.argument("period")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def invoice_show(customer: str, period: str, as_json: bool) -> None:
    """Show the invoice of CUSTOMER for PERIOD (2026-10, or the day it starts on)."""
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.settings import load_settings
    from billing_pipeline.terminal.invoice_view import show_invoice

    show_invoice(Pipeline(load_settings()), customer, period, as_json=as_json)
