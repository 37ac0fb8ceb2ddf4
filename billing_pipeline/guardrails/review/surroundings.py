"""What was going on around a review item: spend per minute, the dearest sessions, the dearest actions."""

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, func, select

from billing_pipeline.control.guard_tables import GUARD_HOLDS, GUARD_SESSIONS, GUARD_WINDOWS
from billing_pipeline.guardrails.review.queue import Review
from billing_pipeline.guardrails.review.shown import Instant
from billing_pipeline.guardrails.review.spend import (
    Action,
    SessionSpend,
    SpendMinute,
    action_of,
    session_of,
)
from billing_pipeline.guardrails.scope import kind_of

MINUTE_US = 60_000_000
BEFORE_MINUTES = 60
AFTER_MINUTES = 30
TOP = 10
_HOLDS_LOOKED_AT = 20_000
"""The newest of a busy customer's: what is shown must not cost what it explains."""


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What was going on around a review item."""

    first_at: Instant
    last_at: Instant
    minutes: tuple[SpendMinute, ...]
    sessions: tuple[SessionSpend, ...]
    actions: tuple[Action, ...]


def surroundings(control: Engine, item: Review, now_us: int) -> Surroundings:
    """Spend, sessions and actions of the item's scope, from an hour before it was opened to half an hour after."""
    first_at, last_at = _stretch(item, now_us)
    with control.connect() as connection:
        return Surroundings(
            first_at=first_at,
            last_at=last_at,
            minutes=_minutes(connection, item, first_at, last_at),
            sessions=_sessions(connection, item, first_at),
            actions=_actions(connection, item, first_at, last_at),
        )


def minutes_around(control: Engine, item: Review, now_us: int) -> Surroundings:
    """As `surroundings`, without sessions and actions."""
    first_at, last_at = _stretch(item, now_us)
    with control.connect() as connection:
        minutes = _minutes(connection, item, first_at, last_at)
    return Surroundings(first_at=first_at, last_at=last_at, minutes=minutes, sessions=(), actions=())


def _stretch(item: Review, now_us: int) -> tuple[int, int]:
    last_at = min(item.opened_at + AFTER_MINUTES * MINUTE_US, max(now_us, item.opened_at))
    first_at = item.opened_at - BEFORE_MINUTES * MINUTE_US
    return first_at - first_at % MINUTE_US, last_at


def _minutes(connection: Connection, item: Review, first_at: int, last_at: int) -> tuple[SpendMinute, ...]:
    if kind_of(item.scope) == "session":
        return _session_minutes(connection, item, first_at, last_at)
    table = GUARD_WINDOWS.c
    query = (
        select(table.starts_at, table.settled, table.pending, table.unguarded, table.calls)
        .where(
            table.scope == item.scope,
            table.currency == item.currency,
            table.time_window == "minute",
            table.starts_at.between(first_at, last_at),
        )
        .order_by(table.starts_at)
    )
    return tuple(
        SpendMinute(
            at=row.starts_at,
            settled=row.settled,
            pending=row.pending,
            unguarded=row.unguarded,
            calls=row.calls,
        )
        for row in connection.execute(query)
    )


def _session_minutes(
    connection: Connection, item: Review, first_at: int, last_at: int
) -> tuple[SpendMinute, ...]:
    """Of a session there are no counters by the minute: its holds are added up."""
    found: dict[int, list[int]] = {}
    holds = GUARD_HOLDS.c
    query = (
        select(holds.granted_at, holds.state, holds.amount, holds.booked)
        .where(_in_scope(item), holds.granted_at.between(first_at, last_at))
        .order_by(holds.granted_at.desc())
        .limit(_HOLDS_LOOKED_AT)
    )
    for row in connection.execute(query):
        sums = found.setdefault(row.granted_at - row.granted_at % MINUTE_US, [0, 0, 0])
        sums[0] += row.booked or 0
        sums[1] += row.amount if row.state == "pending" else 0
        sums[2] += 1
    return tuple(
        SpendMinute(at=at, settled=settled, pending=pending, unguarded=0, calls=calls)
        for at, (settled, pending, calls) in sorted(found.items())
    )


def _sessions(connection: Connection, item: Review, first_at: int) -> tuple[SessionSpend, ...]:
    table = GUARD_SESSIONS.c
    mine: list[ColumnElement[bool]] = [table.customer_id == item.customer_id]
    match kind_of(item.scope):
        case "session":
            mine.append(table.scope == item.scope)
        case "project":
            mine.append(table.project_id == _own_id(item.scope))
    if kind_of(item.scope) != "session":
        mine.append(table.last_at >= first_at)
    spent = table.settled + table.pending + table.unguarded
    query = select(GUARD_SESSIONS).where(*mine).order_by(spent.desc(), table.scope).limit(TOP)
    return tuple(session_of(row) for row in connection.execute(query).mappings())


def _actions(connection: Connection, item: Review, first_at: int, last_at: int) -> tuple[Action, ...]:
    holds = GUARD_HOLDS.c
    looked_at = (
        select(holds.hold_id)
        .where(_in_scope(item), holds.granted_at.between(first_at, last_at))
        .order_by(holds.granted_at.desc())
        .limit(_HOLDS_LOOKED_AT)
        .subquery()
    )
    query = (
        select(GUARD_HOLDS)
        .join(looked_at, looked_at.c.hold_id == holds.hold_id)
        .order_by(func.coalesce(holds.booked, holds.amount).desc(), holds.granted_at, holds.hold_id)
        .limit(TOP)
    )
    return tuple(action_of(row) for row in connection.execute(query).mappings())


def _in_scope(item: Review) -> ColumnElement[bool]:
    holds = GUARD_HOLDS.c
    mine = (holds.customer_id == item.customer_id) & (holds.currency == item.currency)
    match kind_of(item.scope):
        case "project":
            return mine & (holds.project_id == _own_id(item.scope))
        case "session":
            return mine & (holds.session_id == _own_id(item.scope))
    return mine


def _own_id(scope: str) -> str:
    return scope.partition(":")[2].partition("/")[2]
