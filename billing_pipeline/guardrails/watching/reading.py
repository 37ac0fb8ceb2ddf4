"""Reads from the control database what the watch over velocity judges by.

Each function is a transaction of its own, and short: on SQLite a reader keeps the ledger's writer waiting.
"""

from sqlalchemy import ColumnElement, Engine, and_, literal_column, select, true

from billing_pipeline.control.guard_tables import (
    GUARD_LIMITS,
    GUARD_REVIEW_DECISIONS,
    GUARD_REVIEWS,
    GUARD_STOPS,
    GUARD_WINDOWS,
)
from billing_pipeline.guardrails.scope import customer_of, customer_scope
from billing_pipeline.guardrails.velocity.baseline import (
    ACTIVE_MINUTES_MOST,
    LONG_MINUTES,
    RECENT_US,
    SEASON_WEEKS_MOST,
    WEEK_HOURS,
)
from billing_pipeline.guardrails.velocity.series import HOUR_US, MINUTE_US, Hour, Minute

ACTIVE_ROWS_MOST = 200_000
"""Rows of the last minutes that are read at once: those of twenty thousand customers and projects."""
STOPS_MOST = 100_000
REVIEWS_MOST = 1_000
LEFT_OUT_AFTER_US = MINUTE_US
"""What was granted when the pause came ended up to so long after it."""

ScopeKey = tuple[str, str]
"""Scope and currency."""

_WINDOWS = GUARD_WINDOWS.c
_SPENT = _WINDOWS.settled + _WINDOWS.unguarded


def active_minutes(control: Engine, since_us: int, until_us: int) -> dict[ScopeKey, list[Minute]]:
    """The minutes from an instant to another (UTC µs, without it) in which anything was granted or counted, in order.

    Of more than `ACTIVE_ROWS_MOST` rows the latest minutes are kept.
    """
    query = (
        select(
            _WINDOWS.scope,
            _WINDOWS.currency,
            _WINDOWS.starts_at,
            _SPENT,
            _WINDOWS.pending,
            _WINDOWS.calls,
        )
        .where(
            # In its own words, as the index of minutes has it.
            _WINDOWS.time_window == literal_column("'minute'"),
            _WINDOWS.starts_at >= since_us,
            _WINDOWS.starts_at < until_us,
        )
        .order_by(_WINDOWS.starts_at.desc())
        .limit(ACTIVE_ROWS_MOST)
    )
    found: dict[ScopeKey, list[Minute]] = {}
    with control.connect() as connection:
        rows = connection.execute(query).all()
    for scope, currency, *minute in rows:
        found.setdefault((scope, currency), []).append(Minute(*minute))
    for minutes in found.values():
        minutes.reverse()
    return found


def recent_minutes(control: Engine, key: ScopeKey, now_us: int) -> list[Minute]:
    """The last active minutes of a scope, as many as a baseline takes, in order of time."""
    query = (
        select(_WINDOWS.starts_at, _SPENT, _WINDOWS.pending, _WINDOWS.calls)
        .where(*_of(key, "minute"), _WINDOWS.starts_at >= now_us - RECENT_US)
        .order_by(_WINDOWS.starts_at.desc())
        .limit(ACTIVE_MINUTES_MOST + 60)
    )
    with control.connect() as connection:
        return [Minute(*row) for row in connection.execute(query)][::-1]


def past_hours(control: Engine, key: ScopeKey, now_us: int) -> list[Hour]:
    """The hours of a scope from as many weeks back as the season looks, and one hour more, in order of time."""
    first = now_us - (SEASON_WEEKS_MOST * WEEK_HOURS + 2) * HOUR_US
    query = (
        select(_WINDOWS.starts_at, _SPENT)
        .where(*_of(key, "hour"), _WINDOWS.starts_at >= first)
        .order_by(_WINDOWS.starts_at)
    )
    with control.connect() as connection:
        return [Hour(*row) for row in connection.execute(query)]


def _of(key: ScopeKey, window: str) -> tuple[ColumnElement[bool], ...]:
    scope, currency = key
    return (_WINDOWS.scope == scope, _WINDOWS.currency == currency, _WINDOWS.time_window == window)


def stretches_left_out(control: Engine, scope: str, now_us: int) -> list[tuple[int, int]]:
    """Stretches of time in which velocity paused the scope, or what it stands for or in, and nobody called it ordinary.

    Who resumed, or raised the limit, has said that it was: then it counts.
    """
    reviews, decisions = GUARD_REVIEWS.c, GUARD_REVIEW_DECISIONS.c
    customer_id = customer_of(scope)
    whole = customer_scope(customer_id)
    query = (
        select(reviews.opened_at)
        .outerjoin_from(
            GUARD_REVIEWS,
            GUARD_REVIEW_DECISIONS,
            and_(decisions.review_id == reviews.review_id, decisions.decision != "keep"),
        )
        .where(
            reviews.kind == "velocity",
            reviews.opened_at >= now_us - RECENT_US,
            reviews.customer_id == customer_id,
            # Of a customer those of all its projects count, of a project those of its customer and its own.
            true() if scope == whole else reviews.scope.in_((scope, whole)),
            decisions.id.is_(None),
        )
        .order_by(reviews.opened_at.desc())
        .limit(REVIEWS_MOST)
    )
    with control.connect() as connection:
        opened = connection.execute(query).scalars().all()
    return [(each - LONG_MINUTES * MINUTE_US, each + LEFT_OUT_AFTER_US) for each in opened]


def stops(control: Engine) -> tuple[set[str], dict[str, int]]:
    """The customers and projects that are stopped now, and when (UTC µs) each of them was last paused or resumed."""
    columns = GUARD_STOPS.c
    query = (
        select(columns.scope, columns.kind, columns.active, columns.changed_at)
        .where(columns.scope.not_like("session:%"))
        .order_by(columns.active.desc(), columns.changed_at.desc())
        .limit(STOPS_MOST)
    )
    active: set[str] = set()
    paused_at: dict[str, int] = {}
    with control.connect() as connection:
        rows = connection.execute(query).all()
    for scope, kind, is_active, changed_at in rows:
        if is_active:
            active.add(scope)
        if kind == "pause":
            paused_at[scope] = changed_at
    return active, paused_at


def agreed_minute(control: Engine, key: ScopeKey) -> int | None:
    """What people have agreed to be ordinary for a minute, by `raise_limit` on a pause or as a soft limit; or None."""
    limits = GUARD_LIMITS.c
    scope, currency = key
    query = select(limits.amount).where(
        limits.scope == scope,
        limits.currency == currency,
        limits.time_window == "minute",
        limits.severity == "soft",
        limits.inherits.is_(False),
    )
    with control.connect() as connection:
        return connection.execute(query).scalar()
