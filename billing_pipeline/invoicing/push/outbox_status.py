"""The outbox at a glance: how many of each kind are in which state, and what keeps those that are not done."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Engine, Table, func, select

from billing_pipeline.control.invoice_tables import (
    STRIPE_CREDIT_NOTE_TRANSITIONS,
    STRIPE_CREDIT_NOTES,
    STRIPE_METER_EVENT_TRANSITIONS,
    STRIPE_METER_EVENTS,
)
from billing_pipeline.control.tables import (
    STRIPE_PUSH_TRANSITIONS,
    STRIPE_PUSHES,
    STRIPE_REQUEST_FAILURES,
    STRIPE_REQUESTS,
)

DONE = frozenset({"finalized", "reconciled", "issued", "delivered", "superseded", "cancelled"})
NEEDS_SOMEBODY = frozenset({"refused", "expired"})
"""States, and the kind of a failed request, that no further run mends."""


class Unfinished(NamedTuple):
    """Something on its way.

    Attributes:
        what: `invoice`, `credit note` or `meter event`.
        subject: customer, period, currency and revision, as its requests have it.
        since: UTC µs of its last transition.
        last_request: operation of the newest request about it; "" before the first.
        failure: what that met, kind and message; empty texts where nothing failed.
    """

    account: str
    what: str
    subject: str
    state: str
    since: int
    last_request: str
    failure_kind: str
    failure: str

    @property
    def needs_somebody(self) -> bool:
        """Whether running again does not help by itself."""
        return self.state in NEEDS_SOMEBODY or self.failure_kind in NEEDS_SOMEBODY


@dataclass(frozen=True)
class OutboxStatus:
    """Counts by account, what and state; and what is unfinished, the oldest first."""

    counts: dict[tuple[str, str, str], int]
    unfinished: tuple[Unfinished, ...]


def outbox_status(control: Engine) -> OutboxStatus:
    """Read it; a few queries, however much there is."""
    counts: Counter[tuple[str, str, str]] = Counter()
    found: list[Unfinished] = []
    with control.connect() as connection:
        requests = _last_requests(connection)
        for what, table, moves in (
            ("invoice", STRIPE_PUSHES, STRIPE_PUSH_TRANSITIONS),
            ("credit note", STRIPE_CREDIT_NOTES, STRIPE_CREDIT_NOTE_TRANSITIONS),
            ("meter event", STRIPE_METER_EVENTS, STRIPE_METER_EVENT_TRANSITIONS),
        ):
            for row in connection.execute(_newest_moves(table, moves)).mappings():
                counts[row["account"], what, row["state"]] += 1
                if row["state"] not in DONE:
                    subject = _subject(what, row)
                    failed = requests.get((row["account"], subject), ("", "", ""))
                    found.append(
                        Unfinished(row["account"], what, subject, row["state"], row["moved_at"], *failed)
                    )
    return OutboxStatus(dict(sorted(counts.items())), tuple(sorted(found, key=lambda each: each.since)))


def _newest_moves(table: Table, moves: Table) -> Any:
    (reference,) = [column for column in moves.c if column.foreign_keys]
    last = select(reference.label("of"), func.max(moves.c.step).label("step")).group_by(reference).subquery()
    return (
        select(*table.c, moves.c.state, moves.c.recorded_at.label("moved_at"))
        .join(last, last.c.of == table.c.id)
        .join(moves, (reference == table.c.id) & (moves.c.step == last.c.step))
    )


def _subject(what: str, row: Any) -> str:
    if what == "meter event":
        return f"{row['customer_id']}/{row['event_name']}/{row['usage_day']}"
    start = f"{row['customer_id']}/{row['billing_period']}/{row['currency']}"
    corrects = f"/{row['corrects']}" if what == "credit note" else ""
    return f"{start}{corrects}/{row['revision']}"


def _last_requests(connection: Any) -> dict[tuple[str, str], tuple[str, str, str]]:
    """By account and subject the newest request: its operation, and what it met."""
    requests, failures = STRIPE_REQUESTS, STRIPE_REQUEST_FAILURES
    query = (
        select(
            requests.c.account,
            requests.c.subject,
            requests.c.operation,
            failures.c.failure,
            failures.c.message,
        )
        .outerjoin(failures, failures.c.idempotency_key == requests.c.idempotency_key)
        .order_by(requests.c.recorded_at, failures.c.id)
    )
    return {
        (account, subject): (operation, failure or "", message or "")
        for account, subject, operation, failure, message in connection.execute(query)
    }
