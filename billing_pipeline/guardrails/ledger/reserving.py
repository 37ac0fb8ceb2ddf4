"""Reserve: all scopes are checked, then all are moved, or nothing is held and the denial says why."""

from billing_pipeline.errors import GuardRequestError
from billing_pipeline.guardrails.answers import DenialRule, Denied, Granted
from billing_pipeline.guardrails.ledger.answering import answered_before, denied, granted, record_denial
from billing_pipeline.guardrails.ledger.book import Book, new_id
from billing_pipeline.guardrails.ledger.counters import (
    Limits,
    limits_of,
    tell_crossings,
    window_set,
)
from billing_pipeline.guardrails.ledger.credit import check_room, move, sweep_grants
from billing_pipeline.guardrails.ledger.hashing import request_hash
from billing_pipeline.guardrails.ledger.hold_usage import details_text, usage_text
from billing_pipeline.guardrails.ledger.rows import Account, HoldRow, SessionRow, WindowRow
from billing_pipeline.guardrails.ledger.sessions import PASSING, broken_rule, count_step, trip
from billing_pipeline.guardrails.nano import LARGEST_AMOUNT
from billing_pipeline.guardrails.ports import Pricer, TermsBook
from billing_pipeline.guardrails.requests import Reserve
from billing_pipeline.guardrails.scope import customer_scope, project_scope, session_scope
from billing_pipeline.guardrails.terms import NoTerms, Terms
from billing_pipeline.guardrails.window import window_end

_SECOND_US = 1_000_000
NO_CURRENCY = ""
"""Of a denial for want of terms."""


def reserve(
    book: Book, request: Reserve, at_us: int, terms_book: TermsBook, pricer: Pricer
) -> Granted | Denied:
    """Decide one reserve.

    Raises:
        GuardConflictError: the key was used for another request.
        GuardRequestError: the estimate or the time to live is not possible.
        UnpricedUsageError: the estimate has no price.
    """
    digest = request_hash(request)
    before = book.answered(request.customer_id, request.idempotency_key)
    if before is not None:
        return answered_before(before, request, digest)
    terms = terms_book.terms(request.customer_id, request.project_id, at_us)
    if isinstance(terms, NoTerms):
        scope = (
            customer_scope(request.customer_id)
            if terms.rule == "unknown_customer"
            else project_scope(request.customer_id, request.project_id)
        )
        denial = denied(
            request, DenialRule(terms.rule), scope, NO_CURRENCY, request.amount or 0, reason=terms.reason
        )
        return record_denial(book, denial, request, digest, at_us)
    amount = _estimate(request, pricer, at_us)
    return _Reserving(book, request, terms, amount, digest=digest, at_us=at_us).decide()


def _estimate(request: Reserve, pricer: Pricer, at_us: int) -> int:
    amount = request.amount
    if amount is None:
        amount = pricer.estimate(request.customer_id, request.project_id, request.usage, at_us)
    if not 0 <= amount <= LARGEST_AMOUNT:
        raise GuardRequestError("amount", amount, f"give 0 to {LARGEST_AMOUNT} nano-units")
    return amount


class _Reserving:
    """One reserve that has terms and a price."""

    def __init__(
        self, book: Book, request: Reserve, terms: Terms, amount: int, *, digest: str, at_us: int
    ) -> None:
        self._book = book
        self._request = request
        self._terms = terms
        self._amount = amount
        self._digest = digest
        self._at_us = at_us
        ttl_seconds = terms.ttl_seconds if request.ttl_seconds is None else request.ttl_seconds
        if not 0 < ttl_seconds <= terms.ttl_seconds_most:
            raise GuardRequestError("ttl_seconds", ttl_seconds, f"give 1 to {terms.ttl_seconds_most}")
        self._expires_at = at_us + ttl_seconds * _SECOND_US

    def decide(self) -> Granted | Denied:
        book, request, terms = self._book, self._request, self._terms
        customer_id, project_id = request.customer_id, request.project_id
        limits = limits_of(book, customer_id, project_id, terms)
        windows = window_set(
            book,
            customer_id,
            project_id,
            terms.currency,
            at_us=self._at_us,
            period_starts_at=terms.period_starts_at,
        )
        account = book.account(customer_id, terms.currency)
        check_room(account, self._amount)
        sweep_grants(book, account, self._at_us)
        session = self._session()
        denial = self._stopped() or self._broken(session) or self._limited(limits, windows)
        denial = denial or self._uncovered(account)
        if denial is not None:
            return record_denial(book, denial, request, self._digest, self._at_us)
        return self._grant(account, limits, windows, session)

    def _session(self) -> SessionRow | None:
        request = self._request
        if request.session_id is None:
            return None
        scope = session_scope(request.customer_id, request.session_id)
        return self._book.session(scope) or SessionRow(
            scope, request.customer_id, request.project_id, self._terms.currency, self._at_us, self._at_us
        )

    def _stopped(self) -> Denied | None:
        request = self._request
        stops = self._book.stops_of(request.customer_id)
        if not stops:
            return None
        scopes = [customer_scope(request.customer_id), project_scope(request.customer_id, request.project_id)]
        if request.session_id is not None:
            scopes.append(session_scope(request.customer_id, request.session_id))
        for kind, rule in (("kill", DenialRule.KILLED), ("pause", DenialRule.PAUSED)):
            for scope in scopes:
                stop = stops.get((scope, kind))
                if stop is not None:
                    return self._no(rule, scope, resets_at=stop.resumes_at, reason=stop.why)
        return None

    def _broken(self, session: SessionRow | None) -> Denied | None:
        if session is None:
            return None
        broken = broken_rule(
            session, self._request, self._amount, self._terms, self._session_limit(session), at_us=self._at_us
        )
        if broken is None:
            return None
        rule, allowed, left, resets_at = broken
        if rule not in PASSING:
            self._book.sessions[session.scope] = session
            evidence = {"asked": str(self._amount), "limit": None if allowed is None else str(allowed)}
            trip(self._book, session, rule, dict(evidence), self._at_us)
        reason = session.opened_by or "" if rule == DenialRule.BREAKER_OPEN else ""
        return self._no(rule, session.scope, allowed=allowed, left=left, resets_at=resets_at, reason=reason)

    def _session_limit(self, session: SessionRow) -> int | None:
        """The least hard limit on the session's spend: its own instead of the plan's, and the breaker's."""
        terms = self._terms
        amounts = [
            term.amount
            for term in terms.limits
            if term.scope_kind == "session" and term.window == "session" and term.severity == "hard"
        ]
        if terms.breaker.spend is not None:
            amounts.append(terms.breaker.spend)
        own = self._book.limits_set(session.customer_id).get(
            (session.scope, terms.currency, "session", "hard")
        )
        if own is not None and not own.inherits:
            return own.amount
        return min(amounts, default=None)

    def _limited(self, limits: Limits, windows: tuple[WindowRow, ...]) -> Denied | None:
        for limit in limits.hard:
            used = 0 if limit.place is None else windows[limit.place].used
            if used + self._amount > limit.amount:
                resets_at = window_end(limit.window, self._at_us, self._terms.period_ends_at)
                return self._no(
                    DenialRule.HARD_LIMIT,
                    limit.scope,
                    window=limit.window,
                    allowed=limit.amount,
                    left=max(limit.amount - used, 0),
                    resets_at=resets_at,
                )
        return None

    def _uncovered(self, account: Account) -> Denied | None:
        if not self._terms.needs_credit or self._amount <= account.available:
            return None
        left = max(account.available, 0)
        return self._no(DenialRule.CREDIT, customer_scope(account.customer_id), left=left)

    def _no(
        self,
        rule: DenialRule,
        scope: str,
        *,
        window: str | None = None,
        allowed: int | None = None,
        left: int | None = None,
        resets_at: int | None = None,
        reason: str = "",
    ) -> Denied:
        return denied(
            self._request,
            rule,
            scope,
            self._terms.currency,
            self._amount,
            window=window,
            limit=allowed,
            left=left,
            resets_at=resets_at,
            reason=reason,
        )

    def _grant(
        self, account: Account, limits: Limits, windows: tuple[WindowRow, ...], session: SessionRow | None
    ) -> Granted:
        book, request, terms, amount, at_us = (
            self._book,
            self._request,
            self._terms,
            self._amount,
            self._at_us,
        )
        hold = HoldRow(
            hold_id=new_id(at_us),
            customer_id=request.customer_id,
            currency=terms.currency,
            project_id=request.project_id,
            session_id=request.session_id,
            idempotency_key=request.idempotency_key,
            request_hash=self._digest,
            amount=amount,
            steps=request.steps,
            needs_credit=terms.needs_credit,
            usage=usage_text(request.usage),
            details=details_text(request),
            period_starts_at=terms.period_starts_at,
            granted_at=at_us,
            expires_at=self._expires_at,
            granted_until=self._expires_at,
        )
        book.holds[hold.hold_id] = hold
        book.answers[hold.customer_id, hold.idempotency_key] = hold
        book.changes.new_holds.append(hold)
        move(book, account, "reserve", hold.hold_id, at_us, available=-amount, held=amount)
        for window in windows:
            window.pending += amount
            window.calls += 1
            book.touch_window(window)
        if session is not None:
            book.sessions[session.scope] = session
            count_step(session, request, hold, at_us)
            book.touch_session(session)
        if limits.soft:
            tell_crossings(book, limits, windows, hold.customer_id, at_us)
        return granted(hold)
