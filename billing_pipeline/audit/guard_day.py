"""What the guard has settled on a usage day, and the events it has sent for it, read from the control database."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import msgspec
from sqlalchemy import Engine, text

from billing_pipeline.contract.instants import datetime_of
from billing_pipeline.guardrails.usage import Usage
from billing_pipeline.metering.calendar import DAY_US, start_of

_CUSTOMERS = text("SELECT DISTINCT customer_id, currency FROM guard_accounts ORDER BY customer_id, currency")
_HELD_DAYS = text(
    "SELECT DISTINCT granted_at / 86400000000 FROM guard_holds WHERE granted_at >= :start AND granted_at < :until"
)
_SETTLED = text(
    """
SELECT
    h.hold_id, h.customer_id, h.project_id, h.currency, h.amount, h.granted_at,
    coalesce(l.booked, h.booked) AS booked, coalesce(l.overdraft, h.overdraft, 0) AS overdraft
FROM guard_holds AS h LEFT JOIN guard_late_settlements AS l ON l.hold_id = h.hold_id
WHERE h.granted_at >= :start AND h.granted_at < :until AND (h.state = 'settled' OR l.hold_id IS NOT NULL)
ORDER BY h.hold_id
"""
)
_SENT = text(
    """
SELECT o.hold_id, o.payload FROM guard_outbox AS o INNER JOIN guard_holds AS h ON h.hold_id = o.hold_id
WHERE h.granted_at >= :start AND h.granted_at < :until ORDER BY o.id
"""
)


class SettledHold(NamedTuple):
    """A hold that was settled, in time or late. Amounts are nano-units, the instant UTC µs."""

    hold_id: str
    customer_id: str
    project_id: str
    currency: str
    amount: int
    granted_at: int
    booked: int
    overdraft: int


class SentEvent(msgspec.Struct, frozen=True):
    """A usage event of the outbox, as much of it as decides what it costs."""

    source: str
    id: str
    customer_id: str
    project_id: str
    unit: str
    quantity: str
    dimensions: dict[str, str] = {}

    @property
    def usage(self) -> Usage:
        """What was used."""
        return Usage(unit=self.unit, quantity=self.quantity, dimensions=self.dimensions)


class GuardDay(NamedTuple):
    """Holds granted on a usage day that were settled, and by hold the events that were sent for it.

    `near` are the identities of what was sent for the days before and after: a product that sends the same event may
    say that it occurred on another day.
    """

    holds: Sequence[SettledHold]
    sent: dict[str, list[SentEvent]]
    near: set[tuple[str, str]]


_EVENT = msgspec.json.Decoder(SentEvent)


def guarded_accounts(control: Engine) -> list[tuple[str, str]]:
    """The customers whom the guard knows, with each currency of theirs."""
    with control.connect() as connection:
        return [(customer_id, currency) for customer_id, currency in connection.execute(_CUSTOMERS)]


def held_days(control: Engine, first: date, last: date) -> set[date]:
    """The days, from `first` to `last`, on which the guard has granted holds."""
    with control.connect() as connection:
        rows = connection.execute(_HELD_DAYS, {"start": start_of(first), "until": start_of(last) + DAY_US})
        return {date.fromordinal(date(1970, 1, 1).toordinal() + int(day)) for (day,) in rows}


def last_held_day(control: Engine) -> date | None:
    """The last day on which the guard has granted a hold; None where it never has."""
    with control.connect() as connection:
        last = connection.execute(text("SELECT max(granted_at) FROM guard_holds")).scalar()
    return None if last is None else datetime_of(last).date()


def guard_day(control: Engine, day: date) -> GuardDay:
    """Read one usage day."""
    start = start_of(day)
    around = {"start": start - DAY_US, "until": start + 2 * DAY_US}
    with control.connect() as connection:
        rows = connection.execute(_SETTLED, {"start": start, "until": start + DAY_US})
        holds = [SettledHold(*row) for row in rows]
        mine = {hold.hold_id for hold in holds}
        sent: dict[str, list[SentEvent]] = {}
        near: set[tuple[str, str]] = set()
        for hold_id, payload in connection.execute(_SENT, around):
            event = _EVENT.decode(payload)
            if hold_id in mine:
                sent.setdefault(hold_id, []).append(event)
            else:
                near.add((event.source, event.id))
    return GuardDay(holds, sent, near)
