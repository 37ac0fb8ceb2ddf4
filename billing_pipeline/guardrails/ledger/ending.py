"""The end of a hold, exactly once: settled at its cost, released unused, or expired by time. And its extension."""

import msgspec

from billing_pipeline.contract.events import UsageEvent
from billing_pipeline.contract.instants import instant_text
from billing_pipeline.errors import GuardConflictError, GuardRequestError, HoldNotFoundError
from billing_pipeline.guardrails.answers import Ended, Extended
from billing_pipeline.guardrails.commands import Stop
from billing_pipeline.guardrails.ledger.book import Book
from billing_pipeline.guardrails.ledger.counters import limits_of, tell_crossings, window_set
from billing_pipeline.guardrails.ledger.credit import check_room, move, settle_spending, sweep_grants
from billing_pipeline.guardrails.ledger.hashing import request_hash
from billing_pipeline.guardrails.ledger.reserving import HoldDetails
from billing_pipeline.guardrails.ledger.rows import HoldRow, LateSettlement, SessionRow, WindowRow
from billing_pipeline.guardrails.ledger.sessions import end_step, trip
from billing_pipeline.guardrails.ledger.stops import stop
from billing_pipeline.guardrails.nano import LARGEST_AMOUNT
from billing_pipeline.guardrails.ports import Pricer, TermsBook
from billing_pipeline.guardrails.requests import Extend, Release, Settle
from billing_pipeline.guardrails.scope import project_scope, session_scope
from billing_pipeline.guardrails.terms import NoTerms
from billing_pipeline.guardrails.usage import Usage

GUARD_SOURCE = "guard"
"""The source of usage events to which the product gave no identity of its own."""
_ENCODER = msgspec.json.Encoder()
_DETAILS = msgspec.json.Decoder(HoldDetails)
_SECOND_US = 1_000_000


def settle(book: Book, request: Settle, at_us: int, terms_book: TermsBook, pricer: Pricer) -> Ended:
    """End a hold at its actual cost; one that has expired is booked all the same.

    Raises:
        HoldNotFoundError: there is no such hold.
        GuardConflictError: it has ended otherwise, or the key was used for another settle.
        GuardRequestError: the amount is not possible.
        UnpricedUsageError: the usage has no price; the hold stays as it was.
    """
    hold = _found(book, request.hold_id)
    digest = request_hash(request)
    late = book.late_settlement(hold.hold_id) if hold.state == "expired" else None
    if late is not None:
        _check_same(hold, late.end_key, late.end_hash, request.idempotency_key, digest)
        return _late(hold, late)
    if hold.state in {"settled", "released"}:
        _check_same(hold, hold.end_key, hold.end_hash, request.idempotency_key, digest)
        return _ended(hold)
    spent = request.amount
    if spent is None:
        spent = pricer.actual(hold.customer_id, hold.project_id, request.usage, hold.granted_at)
    if not 0 <= spent <= LARGEST_AMOUNT:
        raise GuardRequestError("amount", spent, f"give 0 to {LARGEST_AMOUNT} nano-units")
    check_room(book.account(hold.customer_id, hold.currency), spent)
    overdraft = _book_spending(book, hold, spent, at_us)
    for index, usage in enumerate(request.usage):
        book.changes.outbox.append((hold.hold_id, _event(hold, index, usage), at_us))
    if hold.state == "expired":
        late = LateSettlement(hold.hold_id, spent, overdraft, request.idempotency_key, digest, at_us)
        book.late[hold.hold_id] = late
        book.changes.late_settlements.append(late)
        answer = _late(hold, late)
    else:
        _end(book, hold, "settled", at_us, key=request.idempotency_key, digest=digest)
        hold.booked, hold.overdraft = spent, overdraft
        answer = _ended(hold)
    _look_at_overrun(book, hold, spent, overdraft, terms_book, at_us=at_us)
    return answer


def release(book: Book, request: Release, at_us: int) -> Ended:
    """End a hold unused.

    Raises:
        HoldNotFoundError: there is no such hold.
        GuardConflictError: it has ended otherwise.
    """
    hold = _found(book, request.hold_id)
    digest = request_hash(request)
    if hold.state != "pending":
        _check_same(hold, hold.end_key, hold.end_hash, request.idempotency_key, digest)
        return _ended(hold)
    _free(book, hold, "release", at_us)
    _end(book, hold, "released", at_us, key=request.idempotency_key, digest=digest)
    return _ended(hold)


def expire(book: Book, hold_id: str, at_us: int) -> bool:
    """End a hold whose time has come; False where it has ended, or was extended, meanwhile."""
    hold = book.hold(hold_id)
    if hold is None or hold.state != "pending" or hold.expires_at > at_us:
        return False
    _free(book, hold, "expire", at_us)
    _end(book, hold, "expired", at_us)
    return True


def extend(book: Book, request: Extend, at_us: int, terms_book: TermsBook) -> Extended:
    """Let a hold expire later.

    Raises:
        HoldNotFoundError: there is no such hold.
        GuardConflictError: it has ended, or the key was used for another extension.
        GuardRequestError: the time to live is not possible.
    """
    hold = _found(book, request.hold_id)
    digest = request_hash(request)
    if request.idempotency_key == hold.extension_key:
        _check_same(hold, hold.extension_key, hold.extension_hash, request.idempotency_key, digest)
        return Extended(hold_id=hold.hold_id, expires_at=hold.expires_at)
    if hold.state != "pending":
        raise _has_ended(hold)
    terms = terms_book.terms(hold.customer_id, hold.project_id, at_us)
    if not isinstance(terms, NoTerms) and not 0 < request.ttl_seconds <= terms.ttl_seconds_most:
        raise GuardRequestError("ttl_seconds", request.ttl_seconds, f"give 1 to {terms.ttl_seconds_most}")
    hold.expires_at = max(hold.expires_at, at_us + request.ttl_seconds * _SECOND_US)
    hold.extension_key, hold.extension_hash = request.idempotency_key, digest
    book.touch_hold(hold)
    return Extended(hold_id=hold.hold_id, expires_at=hold.expires_at)


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


def _event(hold: HoldRow, index: int, usage: Usage) -> str:
    """The usage event of a settle, in the product's own identity where it gave one."""
    details = _DETAILS.decode(hold.details)
    fields: dict[str, object] = {
        "session_id": hold.session_id,
        "user_id": details.user_id,
        "step": details.step,
        "dimensions": usage.dimensions or None,
    }
    own = usage.id is not None
    event = UsageEvent(
        source=usage.source if own and usage.source is not None else GUARD_SOURCE,
        id=usage.id if usage.id is not None else f"{hold.hold_id}:{index}",
        customer_id=hold.customer_id,
        project_id=hold.project_id,
        occurred_at=instant_text(hold.granted_at),
        unit=usage.unit,
        quantity=usage.quantity,
        correlation_id=details.correlation_id or hold.hold_id,
        **{name: value for name, value in fields.items() if value is not None},  # type: ignore[arg-type]  # each is of its field's type
    )
    return _ENCODER.encode(event).decode()


def _found(book: Book, hold_id: str) -> HoldRow:
    hold = book.hold(hold_id)
    if hold is None:
        raise HoldNotFoundError(hold_id)
    return hold


def _check_same(hold: HoldRow, key: str | None, digest: str | None, wanted_key: str, wanted: str) -> None:
    if key == wanted_key and digest == wanted:
        return
    if key == wanted_key and hold.state != "released":
        raise GuardConflictError(
            "idempotency_conflict",
            f"idempotency_key {wanted_key!r} of hold {hold.hold_id} was used with other content; "
            "send what was sent first, or nothing",
        )
    raise _has_ended(hold)


def _has_ended(hold: HoldRow) -> GuardConflictError:
    return GuardConflictError(
        "hold_ended",
        f"hold {hold.hold_id} is {hold.state} already; it ends once. Reserve anew for another action",
    )


def _ended(hold: HoldRow) -> Ended:
    booked = hold.booked or 0
    assert hold.ended_at is not None, "it has ended"  # noqa: S101 - only ended holds come here
    return Ended(
        hold_id=hold.hold_id,
        state=hold.state,  # type: ignore[arg-type]  # the store holds no other
        currency=hold.currency,
        booked=booked,
        freed=max(hold.amount - booked, 0),
        overrun=max(booked - hold.amount, 0) if hold.state == "settled" else 0,
        overdraft=hold.overdraft or 0,
        ended_at=hold.ended_at,
    )


def _late(hold: HoldRow, late: LateSettlement) -> Ended:
    return Ended(
        hold_id=hold.hold_id,
        state="expired",
        currency=hold.currency,
        booked=late.booked,
        freed=0,
        overrun=max(late.booked - hold.amount, 0),
        overdraft=late.overdraft,
        late=True,
        ended_at=late.recorded_at,
    )
