"""Which customers and projects velocity has paused on a day: facts, that no later pause changes."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import Engine, select

from billing_pipeline.control.guard_tables import GUARD_STOP_CHANGES
from billing_pipeline.guardrails.velocity.pausing import WHO
from billing_pipeline.metering.calendar import DAY_US, day_of, start_of


def paused_scopes(control: Engine, days: Sequence[date]) -> set[tuple[date, str]]:
    """The scopes paused on each of some days (UTC), by the instant of the pause."""
    changes = GUARD_STOP_CHANGES.c
    query = select(changes.recorded_at, changes.scope).where(
        changes.who == WHO,
        changes.kind == "pause",
        changes.active,
        changes.recorded_at >= start_of(min(days)),
        changes.recorded_at < start_of(max(days)) + DAY_US,
    )
    with control.connect() as connection:
        return {(day_of(recorded_at), scope) for recorded_at, scope in connection.execute(query)}
