"""`billing stripe`: what concerns Stripe itself, or the simulator that stands in for it."""

import click

from billing_pipeline.commands.stripe_meter_events import meter_events
from billing_pipeline.commands.stripe_simulator import simulator
from billing_pipeline.commands.stripe_status import status
from billing_pipeline.commands.stripe_sync import link, sync


@click.group()
def stripe() -> None:
    """Stripe, and the simulator to rehearse with."""


stripe.add_command(sync)
stripe.add_command(link)
stripe.add_command(meter_events)
stripe.add_command(simulator)
stripe.add_command(status)
