"""How far every invoice is, as the outbox knows it: the newest revision's last transition, and what failed last."""

from typing import NamedTuple

from sqlalchemy import Engine, select

from billing_pipeline.control.tables import (
    STRIPE_PUSH_TRANSITIONS,
    STRIPE_PUSHES,
    STRIPE_REQUEST_FAILURES,
    STRIPE_REQUESTS,
)


class PushState(NamedTuple):
    """The newest revision of an invoice. `failure` is what its last request met, in words; "" where it met nothing."""

    state: str
    stripe_id: str
    failure: str


def newest_account(control: Engine) -> str:
    """The account that was pushed to last; "" before the first push."""
    query = select(STRIPE_PUSHES.c.account).order_by(STRIPE_PUSHES.c.id.desc()).limit(1)
    with control.connect() as connection:
        return connection.execute(query).scalar() or ""


def push_states(control: Engine, account: str) -> dict[tuple[str, str, str], PushState]:
    """By customer, billing period (its start as text) and currency."""
    pushes, moves = STRIPE_PUSHES, STRIPE_PUSH_TRANSITIONS
    columns = (
        *(pushes.c.customer_id, pushes.c.billing_period, pushes.c.currency, pushes.c.revision),
        *(moves.c.state, moves.c.stripe_invoice_id),
    )
    query = (
        select(*columns)
        .join(moves, moves.c.push_id == pushes.c.id)
        .where(pushes.c.account == account)
        .order_by(pushes.c.id, moves.c.step)
    )
    found: dict[tuple[str, str, str], PushState] = {}
    with control.connect() as connection:
        rows = connection.execute(
            select(STRIPE_REQUESTS.c.subject, STRIPE_REQUEST_FAILURES.c.message)
            .join(STRIPE_REQUEST_FAILURES)
            .where(STRIPE_REQUESTS.c.account == account)
            .order_by(STRIPE_REQUEST_FAILURES.c.id)
        )
        failures = {str(row.subject): str(row.message) for row in rows}
        for customer_id, period, currency, revision, state, stripe_id in connection.execute(query):
            subject = f"{customer_id}/{period}/{currency}/{revision}"
            failure = failures.get(subject) or failures.get(customer_id) or ""
            found[customer_id, period, currency] = PushState(state, stripe_id or "", failure)
    return found
