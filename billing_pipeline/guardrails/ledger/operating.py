"""Commands: what operators, the close and the guard's own chores have the ledger do."""

from billing_pipeline.errors import GuardRequestError
from billing_pipeline.guardrails.commands import (
    AddGrant,
    Command,
    CountUnguarded,
    DecideReview,
    Done,
    ExpireDue,
    Lift,
    SetLimit,
    Stop,
    TrueUp,
    VoidGrant,
)
from billing_pipeline.guardrails.ledger.book import Book
from billing_pipeline.guardrails.ledger.counters import limits_of, tell_crossings, window_set
from billing_pipeline.guardrails.ledger.credit import (
    add_grant,
    check_room,
    give_back,
    settle_spending,
    sweep_grants,
    void_grant,
)
from billing_pipeline.guardrails.ledger.due import expire_due
from billing_pipeline.guardrails.ledger.limits_set import set_limit
from billing_pipeline.guardrails.ledger.reviewing import decide_review
from billing_pipeline.guardrails.ledger.rows import Grant, SessionRow
from billing_pipeline.guardrails.ledger.stops import lift, stop
from billing_pipeline.guardrails.nano import LARGEST_AMOUNT
from billing_pipeline.guardrails.ports import TermsBook
from billing_pipeline.guardrails.scope import session_scope
from billing_pipeline.guardrails.terms import NoTerms

UNGUARDED = "unguarded"
"""The position up to which the log's events have been counted."""


def operate(book: Book, command: Command, at_us: int, terms_book: TermsBook) -> Done:  # noqa: PLR0911 - one per command
    """Carry out one command.

    Raises:
        GuardRequestError: a field is not possible.
    """
    match command:
        case SetLimit():
            _check_amount(command.amount)
            return Done(changed=int(set_limit(book, command, at_us)))
        case Stop():
            return Done(changed=int(stop(book, command, at_us)))
        case Lift():
            return Done(changed=int(lift(book, command, at_us)))
        case AddGrant():
            return _add_grant(book, command, at_us)
        case VoidGrant():
            account = book.account(command.customer_id, command.currency)
            return Done(changed=int(void_grant(book, account, command.grant_id, at_us)))
        case TrueUp():
            return _true_up(book, command, at_us)
        case CountUnguarded():
            return _count_unguarded(book, command, at_us, terms_book)
        case ExpireDue():
            return expire_due(book, command.at_most, at_us)
        case DecideReview():
            return decide_review(book, command, at_us)


def _check_amount(amount: int | None) -> None:
    if amount is not None and not 0 <= amount <= LARGEST_AMOUNT:
        raise GuardRequestError("amount", amount, f"give 0 to {LARGEST_AMOUNT} nano-units")


def _add_grant(book: Book, command: AddGrant, at_us: int) -> Done:
    _check_amount(command.amount)
    if book.grant(command.customer_id, command.currency, command.grant_id) is not None:
        return Done(changed=0)
    account = book.account(command.customer_id, command.currency)
    check_room(account, command.amount)
    grant = Grant(
        command.customer_id,
        command.currency,
        command.grant_id,
        command.amount,
        command.amount,
        0,
        command.priority,
        command.expires_at,
        at_us,
    )
    add_grant(book, account, grant)
    sweep_grants(book, account, at_us)
    return Done(changed=1)


def _true_up(book: Book, command: TrueUp, at_us: int) -> Done:
    """Once per reference: spent is brought to what was invoiced."""
    _check_amount(abs(command.amount))
    key = (command.customer_id, command.currency, command.reference)
    if key in book.trued_up or book.rows.has_true_up(*key):
        return Done(changed=0)
    account = book.account(command.customer_id, command.currency)
    check_room(account, abs(command.amount))
    if command.amount >= 0:
        settle_spending(
            book,
            account,
            "true_up",
            command.reference,
            at_us,
            held=0,
            spent=command.amount,
            # Who has been granted credit and owes nothing is not made to owe: what no credit is there for is overdraft.
            needs_credit=account.overdraft < 0 or (account.issued < 0 <= account.available),
        )
    else:
        give_back(book, account, -command.amount, kind="true_up", reference=command.reference, at_us=at_us)
    book.trued_up.add(key)
    book.changes.true_ups.append((*key, command.amount, at_us))
    return Done(changed=1)


def _count_unguarded(book: Book, command: CountUnguarded, at_us: int, terms_book: TermsBook) -> Done:
    """Usage that never asked moves counters and sessions, and may cross soft limits; once per stretch of the log."""
    known = book.position(UNGUARDED)
    if known is not None and command.first_offset != known:
        return Done(changed=0)
    for (
        customer_id,
        project_id,
        session_id,
        currency,
        occurred_at,
        period_starts_at,
        amount,
        calls,
    ) in command.entries:
        windows = window_set(
            book, customer_id, project_id, currency, at_us=occurred_at, period_starts_at=period_starts_at
        )
        for window in windows:
            window.unguarded += amount
            window.calls += calls
            book.touch_window(window)
        if session_id is not None:
            scope = session_scope(customer_id, session_id)
            session = book.session(scope)
            if session is None:
                session = SessionRow(scope, customer_id, project_id, currency, occurred_at, occurred_at)
                book.sessions[scope] = session
            session.unguarded += amount
            session.steps += calls
            session.last_at = max(session.last_at, occurred_at)
            book.touch_session(session)
        terms = terms_book.terms(customer_id, project_id, at_us)
        if not isinstance(terms, NoTerms) and terms.currency == currency:
            limits = limits_of(book, customer_id, project_id, terms)
            if limits.soft:
                tell_crossings(book, limits, windows, customer_id, at_us)
    book.changes.watched += [(*row, at_us) for row in command.watched]
    book.positions[UNGUARDED] = book.changes.positions[UNGUARDED] = command.cursor
    return Done(changed=len(command.entries))
