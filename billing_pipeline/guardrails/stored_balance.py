"""Balances read from the control database."""

from collections.abc import Callable, Iterable

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from billing_pipeline.control.clock import now_us
from billing_pipeline.control.guard_tables import GUARD_HOLDS, GUARD_SESSIONS
from billing_pipeline.errors import GuardUnavailableError
from billing_pipeline.guardrails.balance import CustomerBalance, Funds, GrantLeft, LimitLeft, SessionUse
from billing_pipeline.guardrails.ports import TermsBook
from billing_pipeline.guardrails.review.accounts import balances_of, credit_of
from billing_pipeline.guardrails.review.limits import LimitInForce, limits_in_force, projects_of
from billing_pipeline.guardrails.scope import customer_scope, kind_of, project_scope, session_scope


class StoredBalances:
    """A `BalanceReader`.

    Args:
        control: the control database, at head.
        terms: says what the plans limit; without it only limits that were set are shown.
        clock_us: says in which windows to look.
    """

    def __init__(
        self, control: Engine, terms: TermsBook | None, clock_us: Callable[[], int] = now_us
    ) -> None:
        self._control = control
        self._terms = terms
        self._clock_us = clock_us

    def balance(self, customer_id: str, project_id: str | None, session_id: str | None) -> CustomerBalance:
        """As the port. Without a project those that spent in this billing period are shown."""
        try:
            return self._read(customer_id, project_id, session_id)
        except SQLAlchemyError as error:
            raise _unreadable(error) from error

    def customer_of(self, hold_id: str) -> str | None:
        """As the port."""
        query = select(GUARD_HOLDS.c.customer_id).where(GUARD_HOLDS.c.hold_id == hold_id)
        try:
            with self._control.connect() as connection:
                return connection.execute(query).scalar()
        except SQLAlchemyError as error:
            raise _unreadable(error) from error

    def _read(self, customer_id: str, project_id: str | None, session_id: str | None) -> CustomerBalance:
        control = self._control
        projects = projects_of(control, customer_id) if project_id is None else (project_id,)
        session = None if session_id is None else self._session(customer_id, session_id)
        limits = limits_in_force(control, customer_id, projects, self._terms, self._clock_us())
        scopes = {customer_scope(customer_id), *(project_scope(customer_id, each) for each in projects)}
        return CustomerBalance(
            customer_id=customer_id,
            funds=tuple(
                Funds(
                    currency=each.currency,
                    available=each.available,
                    held=each.held,
                    spent=each.spent,
                    overdraft=each.overdraft,
                    expired=each.expired,
                    granted=each.granted,
                )
                for each in balances_of(control, customer_id)
            ),
            grants=tuple(
                GrantLeft(
                    grant_id=each.grant_id,
                    currency=each.currency,
                    amount=each.amount,
                    remaining=each.remaining,
                    priority=each.priority,
                    expires_at=each.expires_at,
                )
                for each in credit_of(control, customer_id)
                if each.voided_at is None
            ),
            limits=(
                *(_left(each) for each in limits if each.scope in scopes),
                *(() if session_id is None else _session_limits(limits, customer_id, session_id, session)),
            ),
            session=session,
        )

    def _session(self, customer_id: str, session_id: str) -> SessionUse | None:
        query = select(GUARD_SESSIONS).where(GUARD_SESSIONS.c.scope == session_scope(customer_id, session_id))
        with self._control.connect() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            return None
        return SessionUse(
            session_id=session_id,
            project_id=row["project_id"],
            currency=row["currency"],
            started_at=row["started_at"],
            last_at=row["last_at"],
            steps=row["steps"],
            pending=row["pending"],
            settled=row["settled"],
            unguarded=row["unguarded"],
            breaker=row["breaker"],
            opened_by=row["opened_by"],
        )


def _left(limit: LimitInForce) -> LimitLeft:
    return LimitLeft(
        scope=limit.scope,
        currency=limit.currency,
        window=limit.window,
        severity=limit.severity,
        amount=limit.amount,
        used=limit.used,
        left=limit.left,
        resets_at=limit.resets_at,
    )


def _session_limits(
    limits: Iterable[LimitInForce], customer_id: str, session_id: str, session: SessionUse | None
) -> Iterable[LimitLeft]:
    """Those of one session: its own instead of the plan's, which stands for every session."""
    own, any_session = session_scope(customer_id, session_id), session_scope(customer_id, "*")
    found = {
        (limit.currency, limit.window, limit.severity): limit
        for scope in (any_session, own)
        for limit in limits
        if kind_of(limit.scope) == "session" and limit.scope == scope
    }
    used = 0 if session is None else session.pending + session.settled + session.unguarded
    for limit in found.values():
        counts = limit.window == "session"
        yield LimitLeft(
            scope=own,
            currency=limit.currency,
            window=limit.window,
            severity=limit.severity,
            amount=limit.amount,
            used=used if counts else None,
            left=max(limit.amount - used, 0) if counts and limit.amount is not None else None,
            resets_at=None,
        )


def _unreadable(error: SQLAlchemyError) -> GuardUnavailableError:
    return GuardUnavailableError(
        f"the control database cannot be read ({type(error).__name__}); ask again later"
    )
