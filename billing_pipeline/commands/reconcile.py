"""`billing reconcile`: compare and report; only `--book-true-up` writes."""

import sys
from datetime import datetime

import click

DAY = click.DateTime(formats=["%Y-%m-%d"])


@click.group()
def reconcile() -> None:
    """Compare what two sides say of the same usage, and explain the difference."""


@reconcile.command("ledger")
@click.option("--from", "first", type=DAY, help="First usage day; default: 30 days before the last.")
@click.option("--to", "last", type=DAY, help="Last usage day; default: the last one with usage or holds.")
@click.option("--customer", help="Only this customer.")
@click.option(
    "--book-true-up", "period", help="Book the true-ups of an ended period first: 2026-10, or its start."
)
@click.option("--json", "as_json", is_flag=True, help="JSON instead of tables; amounts in nano-units.")
def reconcile_ledger(
    first: datetime | None, last: datetime | None, customer: str | None, period: str | None, as_json: bool
) -> None:
    """Compare what the guard settled with what was rated, by customer and day; status 1 if any is unexplained."""
    from billing_pipeline.audit.report import DayRange
    from billing_pipeline.commands.ledger_report import run_ledger
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.settings import load_settings

    days = DayRange(first.date() if first else None, last.date() if last else None)
    if not run_ledger(Pipeline(load_settings()), days, customer, period, as_json=as_json):
        sys.exit(1)


@reconcile.command("invoices")
@click.argument("period", required=False)
@click.option("--customer", help="Only this customer.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of tables; amounts in minor units.")
def reconcile_invoices(period: str | None, customer: str | None, as_json: bool) -> None:
    """Compare events, rollups, charges, lines and Stripe of the invoices of PERIOD (2026-10; default: the newest).

    Status 1 if a difference is unexplained, or somebody has to act: what was voided, edited or credited in Stripe by
    hand. Nothing is written, here or in Stripe.
    """
    from billing_pipeline.commands.reconciliation_report import run_invoices
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.settings import load_settings

    if not run_invoices(Pipeline(load_settings()), period, customer, as_json=as_json):
        sys.exit(1)
