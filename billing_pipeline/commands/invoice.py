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


@invoice.command("approve")
@click.argument("customer")
@click.argument("period")
@click.option("--currency", help="Only the invoice in this currency.")
@click.option("--by", "who", required=True, help="Who approves it.")
@click.option("--why", required=True, help="The reason, for the records.")
def invoice_approve(customer: str, period: str, currency: str | None, *, who: str, why: str) -> None:
    """Approve the invoice of CUSTOMER for PERIOD as it is now, where its plan's policy asks for that."""
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.settings import load_settings
    from billing_pipeline.terminal.period_report import run_approve

    run_approve(Pipeline(load_settings()), customer, period, currency, who=who, why=why)


@invoice.command("preview")
@click.argument("customer")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def invoice_preview(customer: str, *, as_json: bool) -> None:
    """Show what the invoice of CUSTOMER's running period comes to by what has been received; nothing is written."""
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.settings import load_settings
    from billing_pipeline.terminal.invoice_preview import show_preview

    show_preview(Pipeline(load_settings()), customer, as_json=as_json)
