"""What the guard did: soft limits that were crossed, actions that were denied, holds that are open, agent runs."""

import msgspec
from sqlalchemy import Engine, select

from billing_pipeline.control.guard_tables import (
    GUARD_ALERTS,
    GUARD_DENIALS,
    GUARD_HOLDS,
    GUARD_SESSIONS,
)
from billing_pipeline.guardrails.review.customers import Customers, of_any
from billing_pipeline.guardrails.review.page import ROWS, Page, checked_rows, number_of
from billing_pipeline.guardrails.review.shown import Instant, Nano
from billing_pipeline.guardrails.review.spend import Action, SessionSpend, action_of, session_of


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A soft limit was crossed: told once per window and amount."""

    scope: str
    currency: str
    window: str
    starts_at: Instant
    amount: Nano
    used: Nano
    at: Instant


class DenialShown(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing was held, and why. `limit` and `left` are nano-units, steps or seconds, as the rule has it."""

    customer_id: str
    project_id: str
    session_id: str | None
    currency: str
    rule: str
    scope: str
    window: str | None
    asked: Nano
    limit: Nano | None
    left: Nano | None
    reason: str
    at: Instant


class OpenHold(msgspec.Struct, frozen=True, kw_only=True):
    """A hold that has not ended."""

    customer_id: str
    action: Action


def alerts(control: Engine, *, customers: Customers = None, rows: int = ROWS) -> Page[Alert]:
    """The newest first.

    Raises:
        GuardRequestError: `rows` is not possible.
    """
    table = GUARD_ALERTS.c
    query = (
        select(GUARD_ALERTS)
        .where(of_any(table.scope, customers))
        .order_by(table.recorded_at.desc(), table.scope, table.time_window, table.amount)
        .limit(checked_rows(rows))
    )
    with control.connect() as connection:
        found = connection.execute(query).mappings().all()
    return Page(
        tuple(
            Alert(
                scope=row["scope"],
                currency=row["currency"],
                window=row["time_window"],
                starts_at=row["starts_at"],
                amount=row["amount"],
                used=row["used"],
                at=row["recorded_at"],
            )
            for row in found
        )
    )


def denials(
    control: Engine, *, customers: Customers = None, after: str | None = None, rows: int = ROWS
) -> Page[DenialShown]:
    """The newest first.

    Raises:
        GuardRequestError: `rows` or `after` is not possible.
    """
    table = GUARD_DENIALS.c
    query = select(GUARD_DENIALS).order_by(table.id.desc())
    if customers is not None:
        query = query.where(table.customer_id.in_(sorted(customers)))
    if after is not None:
        query = query.where(table.id < number_of(after))
    with control.connect() as connection:
        found = connection.execute(query.limit(checked_rows(rows) + 1)).mappings().all()
    shown = found[:rows]
    return Page(
        tuple(
            DenialShown(
                customer_id=row["customer_id"],
                project_id=row["project_id"],
                session_id=row["session_id"],
                currency=row["currency"],
                rule=row["rule"],
                scope=row["scope"],
                window=row["time_window"],
                asked=row["asked"],
                limit=row["allowed"],
                left=row["remaining"],
                reason=row["reason"],
                at=row["recorded_at"],
            )
            for row in shown
        ),
        str(shown[-1]["id"]) if len(found) > rows else None,
    )


def open_holds(control: Engine, *, customers: Customers = None, rows: int = ROWS) -> Page[OpenHold]:
    """Those that end soonest first.

    Raises:
        GuardRequestError: `rows` is not possible.
    """
    table = GUARD_HOLDS.c
    query = select(GUARD_HOLDS).where(table.state == "pending").order_by(table.expires_at, table.hold_id)
    if customers is not None:
        query = query.where(table.customer_id.in_(sorted(customers)))
    with control.connect() as connection:
        found = connection.execute(query.limit(checked_rows(rows))).mappings().all()
    return Page(tuple(OpenHold(customer_id=row["customer_id"], action=action_of(row)) for row in found))


def sessions_of(control: Engine, customer_id: str, *, rows: int = ROWS) -> tuple[SessionSpend, ...]:
    """The customer's agent runs, the last active first.

    Raises:
        GuardRequestError: `rows` is not possible.
    """
    table = GUARD_SESSIONS.c
    query = (
        select(GUARD_SESSIONS)
        .where(table.customer_id == customer_id)
        .order_by(table.last_at.desc(), table.scope)
        .limit(checked_rows(rows))
    )
    with control.connect() as connection:
        return tuple(session_of(row) for row in connection.execute(query).mappings())
