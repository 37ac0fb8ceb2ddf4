"""Stops in force, and every change of one."""

import msgspec
from sqlalchemy import Engine, select

from billing_pipeline.control.guard_tables import GUARD_STOP_CHANGES, GUARD_STOPS
from billing_pipeline.guardrails.review.customers import Customers, among, of_any
from billing_pipeline.guardrails.review.page import ROWS, Page, checked_rows
from billing_pipeline.guardrails.review.shown import Instant


class StopInForce(msgspec.Struct, frozen=True, kw_only=True):
    """A kill switch or a pause: everything in the scope is denied."""

    scope: str
    kind: str
    who: str
    why: str
    since: Instant
    resumes_at: Instant | None


class StopChange(msgspec.Struct, frozen=True, kw_only=True):
    """A stop was set or lifted."""

    scope: str
    kind: str
    active: bool
    who: str
    why: str
    at: Instant


def stops_in_force(control: Engine, *, customers: Customers = None, rows: int = ROWS) -> Page[StopInForce]:
    """The newest first; there is no second page, as so many stops are not looked through.

    Raises:
        GuardRequestError: `rows` is not possible.
    """
    table = GUARD_STOPS.c
    query = (
        select(GUARD_STOPS)
        .where(table.active, among(table.customer_id, customers))
        .order_by(table.changed_at.desc(), table.scope, table.kind)
        .limit(checked_rows(rows))
    )
    with control.connect() as connection:
        found = connection.execute(query).mappings().all()
    return Page(
        tuple(
            StopInForce(
                scope=row["scope"],
                kind=row["kind"],
                who=row["who"],
                why=row["why"],
                since=row["changed_at"],
                resumes_at=row["resumes_at"],
            )
            for row in found
        )
    )


def stop_changes(control: Engine, *, customers: Customers = None, rows: int = ROWS) -> Page[StopChange]:
    """The newest first.

    Raises:
        GuardRequestError: `rows` is not possible.
    """
    table = GUARD_STOP_CHANGES.c
    query = (
        select(GUARD_STOP_CHANGES)
        .where(of_any(table.scope, customers))
        .order_by(table.id.desc())
        .limit(checked_rows(rows))
    )
    with control.connect() as connection:
        found = connection.execute(query).mappings().all()
    return Page(
        tuple(
            StopChange(
                scope=row["scope"],
                kind=row["kind"],
                active=row["active"],
                who=row["who"],
                why=row["why"],
                at=row["recorded_at"],
            )
            for row in found
        )
    )
