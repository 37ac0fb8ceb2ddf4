"""`billing stripe`: what concerns Stripe itself, or the simulator that stands in for it."""

import click

from billing_pipeline.commands.stripe_simulator import simulator


@click.group()
def stripe() -> None:
    """Stripe, and the simulator to rehearse with."""


stripe.add_command(simulator)
