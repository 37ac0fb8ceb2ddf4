"""`billing stripe`: what concerns Stripe itself, or the simulator that stands in for it."""

import click


@click.group()
def stripe() -> None:
    """Stripe, and the simulator to rehearse with."""
