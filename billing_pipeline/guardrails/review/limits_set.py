"""Limits that operators have set, and every change of one."""

import msgspec
from sqlalchemy import Engine, select

from billing_pipeline.control.guard_tables import GUARD_LIMIT_CHANGES, GUARD_LIMITS
from billing_pipeline.guardrails.review.customers import Customers, among, of_any
from billing_pipeline.guardrails.review.page import ROWS, Page, checked_rows
from billing_pipeline.guardrails.review.shown import Instant, Nano


class SetLimitShown(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator has set for one scope instead of its plan's limit; `amount` None is no limit."""

    scope: str
    currency: str
    window: str
    severity: str
    amount: Nano | None


class LimitChange(msgspec.Struct, frozen=True, kw_only=True):
    """A limit was set (`amount`, None is none at all), or is the plan's again (`inherits`)."""

    scope: str
    currency: str
    window: str
    severity: str
    amount: Nano | None
    inherits: bool
    who: str
    why: str
    at: Instant


def set_limits(control: Engine, *, customers: Customers = None, rows: int = ROWS) -> Page[SetLimitShown]:
    """What operators have set, by scope.

    Raises:
        GuardRequestError: `rows` is not possible.
    """
    table = GUARD_LIMITS.c
    query = (
        select(GUARD_LIMITS)
        .where(~table.inherits, among(table.customer_id, customers))
        .order_by(table.scope, table.currency, table.time_window, table.severity)
        .limit(checked_rows(rows))
    )
    with control.connect() as connection:
        found = connection.execute(query).mappings().all()
    return Page(
        tuple(
            SetLimitShown(
                scope=row["scope"],
                currency=row["currency"],
                window=row["time_window"],
                severity=row["severity"],
                amount=row["amount"],
            )
            for row in found
        )
    )


def limit_changes(control: Engine, *, customers: Customers = None, rows: int = ROWS) -> Page[LimitChange]:
    """The newest first.

    Raises:
        GuardRequestError: `rows` is not possible.
    """
    table = GUARD_LIMIT_CHANGES.c
    query = (
        select(GUARD_LIMIT_CHANGES)
        .where(of_any(table.scope, customers))
        .order_by(table.id.desc())
        .limit(checked_rows(rows))
    )
    with control.connect() as connection:
        found = connection.execute(query).mappings().all()
    return Page(
        tuple(
            LimitChange(
                scope=row["scope"],
                currency=row["currency"],
                window=row["time_window"],
                severity=row["severity"],
                amount=row["amount"],
                inherits=row["inherits"],
                who=row["who"],
                why=row["why"],
                at=row["recorded_at"],
            )
            for row in found
        )
    )
