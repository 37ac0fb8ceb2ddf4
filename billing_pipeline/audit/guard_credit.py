"""Credit grants on both sides: what the guard has left of each beside what invoices have left of it."""

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import Engine, text

from billing_pipeline.guardrails.nano import NANO
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.stage import Workshop, scan
from billing_pipeline.rating.money import minor_exponent
from billing_pipeline.schemas.tables import INVOICE_LINES

_GRANTS = text(
    """
SELECT g.customer_id, g.currency, g.grant_id, g.amount, g.remaining, g.lost
FROM guard_grants AS g ORDER BY g.customer_id, g.currency, g.priority, g.created_at, g.grant_id
"""
)
_OPEN = text(
    """
SELECT h.customer_id, h.currency, h.period_starts_at, coalesce(sum(coalesce(l.booked, h.booked, 0)), 0) AS spent
FROM guard_holds AS h LEFT JOIN guard_late_settlements AS l ON l.hold_id = h.hold_id
WHERE h.state = 'settled' OR l.hold_id IS NOT NULL
GROUP BY h.customer_id, h.currency, h.period_starts_at
"""
)
_TRUED_UP = text(
    "SELECT customer_id, currency, max(reference) FROM guard_true_ups GROUP BY customer_id, currency"
)


class GrantCredit(NamedTuple):
    """One grant. Nano-units.

    Attributes:
        guard_left: what settled usage and true-ups have not burned of it, and time has not taken.
        invoices_left: what invoices have not drawn of it, less what time or a void has taken by the guard's books.
        not_invoiced: what the whole account has settled in periods that have no true-up yet.
    """

    customer_id: str
    currency: str
    grant_id: str
    amount: int
    guard_left: int
    invoices_left: int
    not_invoiced: int

    @property
    def difference(self) -> int:
        """What invoices have left beyond the guard; 0 right after a true-up, where both draw on the same grants."""
        return self.invoices_left - self.guard_left


def grant_credits(workshop: Workshop, control: Engine, customer_id: str | None = None) -> list[GrantCredit]:
    """All grants that the guard knows, or those of one customer, in the order in which they are used."""
    with control.connect() as connection:
        grants = connection.execute(_GRANTS).all()
        spending = connection.execute(_OPEN).all() if grants else []
        trued_up: dict[tuple[str, str], str] = {
            (row[0], row[1]): row[2] for row in connection.execute(_TRUED_UP)
        }
    chosen = [row for row in grants if customer_id in {None, row.customer_id}]
    if not chosen:
        return []
    with workshop.engine.session() as session:
        drawn = _drawn(workshop, session)
    not_invoiced = _not_invoiced(spending, trued_up)
    return [
        GrantCredit(
            *(row.customer_id, row.currency, row.grant_id, int(row.amount), int(row.remaining)),
            int(row.amount - row.lost)
            - drawn.get((row.customer_id, row.currency, row.grant_id), 0)
            * (NANO // 10 ** minor_exponent(row.currency)),
            not_invoiced.get((row.customer_id, row.currency), 0),
        )
        for row in chosen
    ]


def _not_invoiced(
    spending: Sequence[Any], trued_up: dict[tuple[str, str], str]
) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for customer_id, currency, period_starts_at, spent in spending:
        key = (customer_id, currency)
        period = date.fromordinal(_EPOCH + period_starts_at // 86_400_000_000).isoformat()
        if period > trued_up.get(key, ""):
            found[key] = found.get(key, 0) + int(spent)
    return found


_EPOCH = date(1970, 1, 1).toordinal()


def _drawn(workshop: Workshop, session: Session) -> dict[tuple[str, str, str], int]:
    """By customer, currency and grant what invoices have drawn, in minor units."""
    scan(workshop, session, "lines", INVOICE_LINES)
    rows: list[tuple[Any, ...]] = session.rows(
        "SELECT customer_id, currency, term, CAST(-sum(amount_minor) AS BIGINT) FROM lines "
        "WHERE component = 'credit' GROUP BY customer_id, currency, term"
    )
    return {(customer_id, currency, term): int(amount) for customer_id, currency, term, amount in rows}
