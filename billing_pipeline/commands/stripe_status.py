"""`billing stripe status`: how far everything on its way to Stripe is."""

import sys

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="JSON instead of tables.")
def status(*, as_json: bool) -> None:
    """Show how far invoices, credit notes and meter events are, and what keeps those that are not done.

    It reads the outbox, and asks Stripe nothing. Status 1 where a person is needed.
    """
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.settings import load_settings
    from billing_pipeline.terminal.stripe_status import show_stripe_status

    if not show_stripe_status(Pipeline(load_settings()), as_json=as_json):
        sys.exit(1)
