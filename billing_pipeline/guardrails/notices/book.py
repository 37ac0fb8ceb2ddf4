"""Which notices are due, who sends them, and how each ended: `guard_notices`.

A notice is claimed before it is sent, by moving its next attempt on: of several processes one has it. One that dies
then leaves the notice to be tried again, so a receiver may get it twice, under one id.
"""

import msgspec
from sqlalchemy import ColumnElement, Engine, RowMapping, and_, func, or_, select, update

from billing_pipeline.control.database import writing
from billing_pipeline.control.guard_tables import GUARD_NOTICES
from billing_pipeline.guardrails.notices.patience import GIVE_UP_DAYS, GIVE_UP_US, is_given_up, wait_us
from billing_pipeline.guardrails.review.page import ROWS, Page, checked_rows, number_of
from billing_pipeline.guardrails.review.shown import Instant

LEASE_US = 60_000_000
"""So long nobody else tries a notice that was claimed: more than an attempt may take."""

_FAILURE_CHARACTERS = 300


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice. It is delivered, or given up (`next_attempt_at` None), or waits for its next attempt."""

    id: int
    kind: str
    payload: str
    created_at: Instant
    attempts: int
    next_attempt_at: Instant | None
    delivered_at: Instant | None
    last_failure: str | None

    @property
    def notice_id(self) -> str:
        """What the receiver tells repeats by: the same at every attempt, another in every home."""
        return f"notice_{self.id}_{self.created_at}"

    @property
    def state(self) -> str:
        """`delivered`, `given_up` or `waiting`."""
        if self.delivered_at is not None:
            return "delivered"
        return "given_up" if self.next_attempt_at is None and self.attempts else "waiting"


def notices(
    control: Engine, *, after: str | None = None, rows: int = ROWS, undelivered: bool = False
) -> Page[Notice]:
    """The newest first.

    Raises:
        GuardRequestError: `rows` or `after` is not possible.
    """
    table = GUARD_NOTICES.c
    query = select(GUARD_NOTICES).order_by(table.id.desc()).limit(checked_rows(rows) + 1)
    if after is not None:
        query = query.where(table.id < number_of(after))
    if undelivered:
        query = query.where(table.delivered_at.is_(None))
    with control.connect() as connection:
        found = [_notice(row) for row in connection.execute(query).mappings()]
    return Page(tuple(found[:rows]), str(found[rows - 1].id) if len(found) > rows else None)


def waiting_count(control: Engine) -> int:
    """How many are neither delivered nor given up."""
    table = GUARD_NOTICES.c
    is_waiting = or_(table.next_attempt_at.is_not(None), table.attempts == 0)
    query = select(func.count()).select_from(GUARD_NOTICES).where(table.delivered_at.is_(None), is_waiting)
    with control.connect() as connection:
        return connection.execute(query).scalar_one()


def due(control: Engine, now_us: int, at_most: int) -> list[Notice]:
    """Notices whose attempt has come, the oldest first."""
    query = select(GUARD_NOTICES).where(_is_due(now_us)).order_by(GUARD_NOTICES.c.id).limit(at_most)
    with control.connect() as connection:
        return [_notice(row) for row in connection.execute(query).mappings()]


def give_up_old(control: Engine, now_us: int) -> int:
    """Give up what was never tried while it was new, as no webhook was set then; returns how many."""
    table = GUARD_NOTICES.c
    is_old = table.created_at < now_us - GIVE_UP_US
    with control.connect() as connection:
        if connection.execute(select(table.id).where(_is_due(now_us), is_old).limit(1)).first() is None:
            return 0
    reason = f"given up unsent: it is older than {GIVE_UP_DAYS} days"
    with writing(control) as connection:
        done = connection.execute(
            update(GUARD_NOTICES)
            .where(_is_due(now_us), is_old)
            .values(attempts=table.attempts + 1, next_attempt_at=None, last_failure=reason)
        )
        return done.rowcount


def claim(control: Engine, notice: Notice, now_us: int) -> bool:
    """Take a due notice, unless another process just has."""
    table = GUARD_NOTICES.c
    with writing(control) as connection:
        claimed = connection.execute(
            update(GUARD_NOTICES)
            .where(table.id == notice.id, table.attempts == notice.attempts, _is_due(now_us))
            .values(attempts=notice.attempts + 1, next_attempt_at=now_us + LEASE_US)
        )
        return claimed.rowcount == 1


def delivered(control: Engine, notice: Notice, now_us: int) -> None:
    """The receiver has it."""
    with writing(control) as connection:
        connection.execute(
            update(GUARD_NOTICES)
            .where(GUARD_NOTICES.c.id == notice.id)
            .values(delivered_at=now_us, next_attempt_at=None, last_failure=None)
        )


def failed(control: Engine, notice: Notice, now_us: int, reason: str) -> None:
    """The claimed attempt failed: it is tried again later, or given up where that is too late."""
    next_at: int | None = now_us + wait_us(notice.attempts + 1)
    if next_at is not None and is_given_up(notice.created_at, next_at):
        next_at = None
    table = GUARD_NOTICES.c
    with writing(control) as connection:
        connection.execute(
            update(GUARD_NOTICES)
            .where(
                table.id == notice.id,
                table.attempts == notice.attempts + 1,
                table.delivered_at.is_(None),
            )
            .values(next_attempt_at=next_at, last_failure=reason[:_FAILURE_CHARACTERS])
        )


def _is_due(now_us: int) -> ColumnElement[bool]:
    table = GUARD_NOTICES.c
    is_new = and_(table.next_attempt_at.is_(None), table.attempts == 0)
    return and_(table.delivered_at.is_(None), or_(table.next_attempt_at <= now_us, is_new))


def _notice(row: RowMapping) -> Notice:
    return Notice(**row)
