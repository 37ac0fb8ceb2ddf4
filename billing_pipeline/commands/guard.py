"""`billing guard`: kill switches, pauses, limits, and what the guard knows of a customer."""

import click

from billing_pipeline.commands.guard_check import check
from billing_pipeline.commands.guard_limits import limit
from billing_pipeline.commands.guard_status import status
from billing_pipeline.commands.guard_stops import kill, pause, stops, unkill, unpause
from billing_pipeline.commands.guard_views import alerts, denials, holds, notices


@click.group()
def guard() -> None:
    """The guard: stop and let go, limits, balances, holds (docs/review.md)."""


for _command in (kill, unkill, pause, unpause, stops, limit, status, holds, alerts, denials, notices, check):
    guard.add_command(_command)
