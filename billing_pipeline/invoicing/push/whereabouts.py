"""Where an invoice line went, as the outbox knows it. Nothing is asked over the network."""

from typing import NamedTuple

from sqlalchemy import Engine, Table, select

from billing_pipeline.control.invoice_tables import STRIPE_CREDIT_NOTE_TRANSITIONS, STRIPE_CREDIT_NOTES
from billing_pipeline.control.tables import STRIPE_PUSH_TRANSITIONS, STRIPE_PUSHES
from billing_pipeline.rating.charges import LineKey


class Whereabouts(NamedTuple):
    """An invoice or credit note that holds the line; `stripe_id` is "" while there is none."""

    account: str
    what: str
    stripe_id: str
    state: str


def whereabouts(control: Engine, key: LineKey, billing_period: object, line_id: str) -> list[Whereabouts]:
    """The newest revisions that hold a line, by account; superseded ones are left out."""
    found: list[Whereabouts] = []
    for what, table, moves, parent, stripe_id in (
        ("invoice", STRIPE_PUSHES, STRIPE_PUSH_TRANSITIONS, "push_id", "stripe_invoice_id"),
        (
            *("credit note", STRIPE_CREDIT_NOTES, STRIPE_CREDIT_NOTE_TRANSITIONS),
            *("credit_note_id", "stripe_credit_note_id"),
        ),
    ):
        found += _held(control, (what, table, moves, parent, stripe_id), key, str(billing_period), line_id)
    return sorted(found)


def _held(
    control: Engine, kind: tuple[str, Table, Table, str, str], key: LineKey, period: str, line_id: str
) -> list[Whereabouts]:
    what, table, moves, parent, stripe_id = kind
    query = (
        select(table.c.account, table.c.plan, moves.c.state, moves.c[stripe_id])
        .join(moves, moves.c[parent] == table.c.id)
        .where(
            table.c.customer_id == key.customer_id,
            table.c.billing_period == period,
            table.c.currency == key.currency,
        )
        .order_by(table.c.id, moves.c.step)
    )
    newest: dict[str, Whereabouts] = {}
    with control.connect() as connection:
        for account, plan, state, made in connection.execute(query):
            if f'"{line_id}"' in plan and state != "superseded":
                newest[account] = Whereabouts(account, what, made or "", state)
            else:
                newest.pop(account, None)
    return list(newest.values())
