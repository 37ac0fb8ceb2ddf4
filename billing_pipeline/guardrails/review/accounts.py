"""Balances and credit of customers."""

import msgspec
from sqlalchemy import Engine, func, select

from billing_pipeline.control.guard_tables import GUARD_ACCOUNTS, GUARD_GRANTS
from billing_pipeline.guardrails.review.customers import Customers
from billing_pipeline.guardrails.review.page import ROWS, Page, checked_rows
from billing_pipeline.guardrails.review.shown import Instant, Nano

_PREFIX_CHARACTERS = 256


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer has in one currency.

    Attributes:
        available: what may be held; below zero it is what a customer without credit owes.
        overdraft: debt, never above zero.
        granted: all credit there ever was, less what was taken back.
    """

    customer_id: str
    currency: str
    available: Nano
    held: Nano
    spent: Nano
    overdraft: Nano
    expired: Nano
    granted: Nano


class Credit(msgspec.Struct, frozen=True, kw_only=True):
    """A grant, and what is left of it."""

    grant_id: str
    currency: str
    amount: Nano
    remaining: Nano
    priority: int
    expires_at: Instant | None
    created_at: Instant
    voided_at: Instant | None


def balances(
    control: Engine,
    *,
    prefix: str = "",
    customers: Customers = None,
    after: str | None = None,
    rows: int = ROWS,
) -> Page[Balance]:
    """Of customers whose id begins so, by id. A page is cut only between customers and may be a little longer.

    Raises:
        GuardRequestError: `rows` is not possible.
    """
    ids = GUARD_ACCOUNTS.c.customer_id
    wanted = select(ids).distinct().order_by(ids)
    if prefix:
        wanted = wanted.where(func.substr(ids, 1, len(prefix)) == prefix[:_PREFIX_CHARACTERS])
    if customers is not None:
        wanted = wanted.where(ids.in_(sorted(customers)))
    if after is not None:
        wanted = wanted.where(ids > after)
    with control.connect() as connection:
        found = connection.execute(wanted.limit(checked_rows(rows) + 1)).scalars().all()
        shown = found[:rows]
        table = GUARD_ACCOUNTS.c
        query = select(GUARD_ACCOUNTS).where(table.customer_id.in_(shown))
        accounts = connection.execute(query.order_by(table.customer_id, table.currency)).mappings().all()
    return Page(
        tuple(
            Balance(
                customer_id=row["customer_id"],
                currency=row["currency"],
                available=row["available"],
                held=row["held"],
                spent=row["spent"],
                overdraft=row["overdraft"],
                expired=row["expired"],
                granted=-row["issued"],
            )
            for row in accounts
        ),
        shown[-1] if len(found) > rows else None,
    )


def balances_of(control: Engine, customer_id: str) -> tuple[Balance, ...]:
    """The customer's balances by currency; none where nothing was ever moved."""
    found = balances(control, customers=(customer_id,), rows=1)
    return found.rows


def is_known(control: Engine, customer_id: str) -> bool:
    """Whether the guard ever moved anything of the customer's."""
    query = select(GUARD_ACCOUNTS.c.customer_id).where(GUARD_ACCOUNTS.c.customer_id == customer_id)
    with control.connect() as connection:
        return connection.execute(query).first() is not None


def credit_of(control: Engine, customer_id: str, *, rows: int = ROWS) -> tuple[Credit, ...]:
    """The customer's grants, what is left to be used first.

    Raises:
        GuardRequestError: `rows` is not possible.
    """
    table = GUARD_GRANTS.c
    query = (
        select(GUARD_GRANTS)
        .where(table.customer_id == customer_id)
        .order_by(table.remaining == 0, table.priority, table.expires_at, table.created_at, table.grant_id)
        .limit(checked_rows(rows))
    )
    with control.connect() as connection:
        found = connection.execute(query).mappings().all()
    return tuple(
        Credit(
            grant_id=row["grant_id"],
            currency=row["currency"],
            amount=row["amount"],
            remaining=row["remaining"],
            priority=row["priority"],
            expires_at=row["expires_at"],
            created_at=row["created_at"],
            voided_at=row["voided_at"],
        )
        for row in found
    )
