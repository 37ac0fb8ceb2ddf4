"""Limits in force: what operators have set, over what the plan says, with what is used of each."""

from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection, Engine, RowMapping, func, select

from billing_pipeline.control.guard_tables import (
    GUARD_LIMITS,
    GUARD_SESSIONS,
    GUARD_WINDOWS,
)
from billing_pipeline.guardrails.ports import TermsBook
from billing_pipeline.guardrails.review.shown import Instant, Nano
from billing_pipeline.guardrails.scope import customer_scope, kind_of, project_scope
from billing_pipeline.guardrails.terms import Terms
from billing_pipeline.guardrails.window import COUNTED, window_end, window_start

PROJECTS_MOST = 50


class LimitInForce(msgspec.Struct, frozen=True, kw_only=True):
    """A limit as it holds now.

    Attributes:
        amount: None is no limit, which an operator has set.
        used: settled, held and unguarded in the window now; None where each session or request has its own.
        resets_at: when the window begins anew; None where it does not.
        is_set: set for this scope; else it is the plan's.
    """

    scope: str
    currency: str
    window: str
    severity: str
    amount: Nano | None
    used: Nano | None
    left: Nano | None
    resets_at: Instant | None
    is_set: bool


_Key = tuple[str, str, str, str]


def limits_in_force(
    control: Engine, customer_id: str, projects: Iterable[str], terms: TermsBook | None, now_us: int
) -> tuple[LimitInForce, ...]:
    """All limits of a customer and its projects now; without terms only those that were set.

    A plan's limit of sessions stands under the scope `session:CUSTOMER/*`: each session has one of its own.
    """
    with control.connect() as connection:
        table = GUARD_LIMITS.c
        query = select(GUARD_LIMITS).where(table.customer_id == customer_id, ~table.inherits)
        found: dict[_Key, tuple[int | None, bool]] = {
            _key(row): (row["amount"], True) for row in connection.execute(query).mappings()
        }
        period = _period(connection, customer_id, now_us)
        for project_id in projects:
            of = None if terms is None else terms.terms(customer_id, project_id, now_us)
            if not isinstance(of, Terms):
                continue
            period = (of.period_starts_at, of.period_ends_at)
            for key, amount in _plan_limits(of, customer_id, project_id):
                found.setdefault(key, (amount, False))
        return tuple(
            _in_force(connection, key, amount, is_set=is_set, period=period, now_us=now_us)
            for key, (amount, is_set) in sorted(found.items(), key=_order)
        )


def projects_of(control: Engine, customer_id: str) -> tuple[str, ...]:
    """The projects that the guard has counted anything for in the billing period that began last, by id."""
    prefix = project_scope(customer_id, "")
    table = GUARD_WINDOWS.c
    with control.connect() as connection:
        period = _period(connection, customer_id, 1 << 62)
        query = (
            select(table.scope)
            .where(
                table.time_window == "period",
                table.starts_at == period[0],
                func.substr(table.scope, 1, len(prefix)) == prefix,
            )
            .distinct()
            .order_by(table.scope)
            .limit(PROJECTS_MOST)
        )
        return tuple(scope.removeprefix(prefix) for scope in connection.execute(query).scalars())


def _plan_limits(terms: Terms, customer_id: str, project_id: str) -> Iterable[tuple[_Key, int]]:
    scopes = {
        "customer": customer_scope(customer_id),
        "project": project_scope(customer_id, project_id),
        "session": f"session:{customer_id}/*",
    }
    for term in terms.limits:
        yield (scopes[term.scope_kind], terms.currency, term.window, term.severity), term.amount


def _in_force(
    connection: Connection,
    key: _Key,
    amount: int | None,
    *,
    is_set: bool,
    period: tuple[int, int],
    now_us: int,
) -> LimitInForce:
    scope, currency, window, severity = key
    used: int | None = None
    resets_at: int | None = None
    if kind_of(scope) == "session":
        used = _session_used(connection, scope) if window == "session" else None
    else:
        for counted in COUNTED:
            if counted == window:
                used = _used(connection, scope, currency, counted, window_start(counted, now_us, period[0]))
                ends_at = window_end(counted, now_us, period[1])
                resets_at = ends_at if ends_at and ends_at > now_us else None
    left = None if amount is None or used is None else max(0, amount - used)
    return LimitInForce(
        scope=scope,
        currency=currency,
        window=window,
        severity=severity,
        amount=amount,
        used=used,
        left=left,
        resets_at=resets_at,
        is_set=is_set,
    )


def _used(connection: Connection, scope: str, currency: str, window: str, starts_at: int) -> int:
    table = GUARD_WINDOWS.c
    query = select(table.settled + table.pending + table.unguarded).where(
        table.scope == scope,
        table.currency == currency,
        table.time_window == window,
        table.starts_at == starts_at,
    )
    return connection.execute(query).scalar() or 0


def _session_used(connection: Connection, scope: str) -> int | None:
    table = GUARD_SESSIONS.c
    query = select(table.settled + table.pending + table.unguarded).where(table.scope == scope)
    return connection.execute(query).scalar()


def _period(connection: Connection, customer_id: str, now_us: int) -> tuple[int, int]:
    """The billing period that the guard counted last for the customer; its end is not known here."""
    table = GUARD_WINDOWS.c
    query = select(func.max(table.starts_at)).where(
        table.scope == customer_scope(customer_id), table.time_window == "period", table.starts_at <= now_us
    )
    return connection.execute(query).scalar() or 0, 0


def _key(row: RowMapping) -> _Key:
    return row["scope"], row["currency"], row["time_window"], row["severity"]


_WINDOWS = ("request", *COUNTED, "session")
_KINDS = ("customer", "project", "session")


def _order(entry: tuple[_Key, object]) -> tuple[int, str, str, int, str]:
    scope, currency, window, severity = entry[0]
    return _KINDS.index(kind_of(scope)), scope, currency, _WINDOWS.index(window), severity
