"""A word on a review item: go on, stay stopped, or go on under a higher limit."""

import msgspec

from billing_pipeline.errors import GuardConflictError, GuardRequestError
from billing_pipeline.guardrails.commands import DecideReview, Done, Lift, SetLimit
from billing_pipeline.guardrails.ledger.book import Book
from billing_pipeline.guardrails.ledger.limits_set import set_limit
from billing_pipeline.guardrails.ledger.rows import ReviewRow
from billing_pipeline.guardrails.ledger.sessions import try_again
from billing_pipeline.guardrails.ledger.stops import lift
from billing_pipeline.guardrails.nano import LARGEST_AMOUNT
from billing_pipeline.guardrails.scope import kind_of


class _Evidence(msgspec.Struct):
    """What a decision needs of a review's evidence: the limit that was crossed."""

    rule: str = ""
    window: str | None = None
    severity: str = "soft"


_EVIDENCE = msgspec.json.Decoder(_Evidence)


def decide_review(book: Book, command: DecideReview, at_us: int, *, lifts: bool = True) -> Done:
    """Carry out a decision and keep it; to resume also lifts a pause, unless told otherwise.

    Raises:
        GuardRequestError: there is no such item, or no limit that could be raised so.
        GuardConflictError: it was decided otherwise.
    """
    review = book.review(command.review_id)
    if review is None:
        raise GuardRequestError("review_id", command.review_id, "is none; `billing review list` shows all")
    if review.decided_at is not None:
        raise GuardConflictError("review_decided", f"review {review.review_id} has been decided already")
    if command.decision == "raise_limit":
        _raise(book, command, review, at_us)
    if command.decision != "keep":
        if lifts:
            lift(book, Lift(scope=review.scope, kind="pause", who=command.who, why=command.why), at_us)
        _let_try_again(book, review, at_us)
    review.decided_at = at_us
    book.changes.decided_reviews.append((review.review_id, at_us))
    book.changes.decisions.append(
        (review.review_id, command.decision, command.amount, command.who, command.why, at_us)
    )
    return Done(changed=1, reference=review.review_id)


def _raise(book: Book, command: DecideReview, review: ReviewRow, at_us: int) -> None:
    if command.amount is None or not 0 <= command.amount <= LARGEST_AMOUNT:
        raise GuardRequestError(
            "amount", command.amount, f"give the new limit, 0 to {LARGEST_AMOUNT} nano-units"
        )
    evidence = _EVIDENCE.decode(review.evidence)
    if review.kind == "soft_limit":
        window, severity = evidence.window or "day", evidence.severity
    elif review.kind == "breaker" and evidence.rule == "session_spend":
        window, severity = "session", "hard"
    elif review.kind == "velocity":
        # What was agreed as ordinary for a minute: the watch takes it for its threshold.
        window, severity = "minute", "soft"
    else:
        raise GuardRequestError(
            "decision",
            "raise_limit",
            f"a review of kind {review.kind} ({evidence.rule}) has no limit; resume or keep",
        )
    set_limit(
        book,
        SetLimit(
            scope=review.scope,
            currency=review.currency,
            window=window,  # type: ignore[arg-type]  # the guard's own evidence
            severity=severity,  # type: ignore[arg-type]  # as above
            amount=command.amount,
            who=command.who,
            why=command.why,
        ),
        at_us,
    )


def _let_try_again(book: Book, review: ReviewRow, at_us: int) -> None:
    if kind_of(review.scope) == "session":
        session = book.session(review.scope)
        if session is not None and session.breaker == "open":
            try_again(session, at_us)
            book.touch_session(session)
