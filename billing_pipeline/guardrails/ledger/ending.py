"""The end of a hold, exactly once: settled at its cost, released unused, or expired by time. And its extension."""

import msgspec

from billing_pipeline.errors import GuardRequestError
from billing_pipeline.guardrails.answers import Ended
from billing_pipeline.guardrails.commands import Stop
from billing_pipeline.guardrails.ledger.answering import check_same, ended, settled_late
from billing_pipeline.guardrails.ledger.book import Book
from billing_pipeline.guardrails.ledger.counters import limits_of, tell_crossings, window_set
from billing_pipeline.guardrails.ledger.credit import check_room, move, settle_spending, sweep_grants
from billing_pipeline.guardrails.ledger.hashing import request_hash
from billing_pipeline.guardrails.ledger.hold_usage import usage_event
from billing_pipeline.guardrails.ledger.rows import HoldRow, LateSettlement, SessionRow, WindowRow
from billing_pipeline.guardrails.ledger.sessions import end_step, trip
from billing_pipeline.guardrails.ledger.stops import stop
from billing_pipeline.guardrails.nano import LARGEST_AMOUNT
from billing_pipeline.guardrails.ports import Pricer, TermsBook
from billing_pipeline.guardrails.requests import Release, Settle
from billing_pipeline.guardrails.scope import project_scope, session_scope
from billing_pipeline.guardrails.terms import NoTerms

_ENCODER = msgspec.json.Encoder()


def settle(book: Book, request: Settle, at_us: int, terms_book: TermsBook, pricer: Pricer) -> Ended:
    """End a hold at its actual cost; one that has expired is booked all the same.

    Raises:
        HoldNotFoundError: there is no such hold.
        GuardConflictError: it has ended otherwise, or the key was used for another settle.
        GuardRequestError: the amount is not possible.
        UnpricedUsageError: the usage has no price; the hold stays as it was.
    """
    hold = book.known_hold(request.hold_id)
    digest = request_hash(request)
    late = book.late_settlement(hold.hold_id) if hold.state == "expired" else None
    if late is not None:
        check_same(hold, late.end_key, late.end_hash, request.idempotency_key, digest)
        return settled_late(hold, late)
    if hold.state in {"settled", "released"}:
        check_same(hold, hold.end_key, hold.end_hash, request.idempotency_key, digest)
        return ended(hold)
    spent = request.amount
    if spent is None:
        spent = pricer.actual(hold.customer_id, hold.project_id, request.usage, hold.granted_at)
    if not 0 <= spent <= LARGEST_AMOUNT:
        raise GuardRequestError("amount", spent, f"give 0 to {LARGEST_AMOUNT} nano-units")
    check_room(book.account(hold.customer_id, hold.currency), spent)
    overdraft = _book_spending(book, hold, spent, at_us)
    for index, usage in enumerate(request.usage):
        book.changes.outbox.append((hold.hold_id, usage_event(hold, index, usage), at_us))
    if hold.state == "expired":
        late = LateSettlement(hold.hold_id, spent, overdraft, request.idempotency_key, digest, at_us)
        book.late[hold.hold_id] = late
        book.changes.late_settlements.append(late)
        answer = settled_late(hold, late)
    else:
        _end(book, hold, "settled", at_us, key=request.idempotency_key, digest=digest)
        hold.booked, hold.overdraft = spent, overdraft
        answer = ended(hold)
    _look_at_overrun(book, hold, spent, overdraft, terms_book, at_us=at_us)
    return answer


def release(book: Book, request: Release, at_us: int) -> Ended:
    """End a hold unused.

    Raises:
        HoldNotFoundError: there is no such hold.
        GuardConflictError: it has ended otherwise.
    """
    hold = book.known_hold(request.hold_id)
    digest = request_hash(request)
    if hold.state != "pending":
        check_same(hold, hold.end_key, hold.end_hash, request.idempotency_key, digest)
        return ended(hold)
    _free(book, hold, "release", at_us)
    _end(book, hold, "released", at_us, key=request.idempotency_key, digest=digest)
    return ended(hold)


def expire(book: Book, hold_id: str, at_us: int) -> bool:
    """End a hold whose time has come; False where it has ended, or was extended, meanwhile."""
    hold = book.hold(hold_id)
    if hold is None or hold.state != "pending" or hold.expires_at > at_us:
        return False
    _free(book, hold, "expire", at_us)
    _end(book, hold, "expired", at_us)
    return True


def _book_spending(book: Book, hold: HoldRow, spent: int, at_us: int) -> int:
    """Move account, windows and session; returns the overdraft."""
    is_late = hold.state == "expired"
    held = 0 if is_late else hold.amount
    account = book.account(hold.customer_id, hold.currency)
    overdraft = settle_spending(
        book,
        account,
        "late_settle" if is_late else "settle",
        hold.hold_id,
        at_us,
        held=held,
        spent=spent,
        needs_credit=hold.needs_credit,
    )
    for window in _windows(book, hold):
        window.pending -= held
        window.settled += spent
        book.touch_window(window)
    session = _session(book, hold)
    if session is not None:
        if is_late:
            session.settled += spent
        else:
            end_step(session, hold, spent)
        book.touch_session(session)
    return overdraft


def _free(book: Book, hold: HoldRow, kind: str, at_us: int) -> None:
    account = book.account(hold.customer_id, hold.currency)
    move(book, account, kind, hold.hold_id, at_us, held=-hold.amount, available=hold.amount)
    sweep_grants(book, account, at_us)
    for window in _windows(book, hold):
        window.pending -= hold.amount
        book.touch_window(window)
    session = _session(book, hold)
    if session is not None:
        end_step(session, hold, None)
        book.touch_session(session)


def _end(
    book: Book, hold: HoldRow, state: str, at_us: int, *, key: str | None = None, digest: str | None = None
) -> None:
    hold.state, hold.end_key, hold.end_hash, hold.ended_at = state, key, digest, at_us
    book.touch_hold(hold)


def _look_at_overrun(
    book: Book, hold: HoldRow, spent: int, overdraft: int, terms_book: TermsBook, *, at_us: int
) -> None:
    """What was spent above the hold may reach soft limits; what no credit was there for stops by policy."""
    if spent <= hold.amount and hold.state != "expired":
        return
    terms = terms_book.terms(hold.customer_id, hold.project_id, at_us)
    if isinstance(terms, NoTerms):
        return
    limits = limits_of(book, hold.customer_id, hold.project_id, terms)
    if limits.soft and terms.currency == hold.currency:
        tell_crossings(book, limits, _windows(book, hold), hold.customer_id, at_us)
    if not overdraft or not terms.overdraft_trips:
        return
    evidence: dict[str, object] = {"hold_id": hold.hold_id, "overdraft": str(overdraft), "spent": str(spent)}
    session = _session(book, hold)
    if session is not None:
        trip(book, session, "overdraft", evidence, at_us)
        return
    command = Stop(
        scope=project_scope(hold.customer_id, hold.project_id),
        currency=hold.currency,
        kind="pause",
        who="guard",
        why="an action has spent more than its hold and no credit was there for it",
        review_kind="overdraft",
        evidence=_ENCODER.encode(evidence).decode(),
    )
    stop(book, command, at_us)


def _windows(book: Book, hold: HoldRow) -> tuple[WindowRow, ...]:
    return window_set(
        book,
        hold.customer_id,
        hold.project_id,
        hold.currency,
        at_us=hold.granted_at,
        period_starts_at=hold.period_starts_at,
    )


def _session(book: Book, hold: HoldRow) -> SessionRow | None:
    if hold.session_id is None:
        return None
    return book.session(session_scope(hold.customer_id, hold.session_id))
