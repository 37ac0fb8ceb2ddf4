"""What ends by time: holds, pauses, grants, and reviews that the policy answers itself."""

from billing_pipeline.guardrails.commands import DecideReview, Done, Lift, StopKind
from billing_pipeline.guardrails.ledger.book import Book
from billing_pipeline.guardrails.ledger.credit import sweep_grants
from billing_pipeline.guardrails.ledger.ending import expire
from billing_pipeline.guardrails.ledger.reviewing import decide_review
from billing_pipeline.guardrails.ledger.stops import lift
from billing_pipeline.guardrails.scope import customer_of

POLICY = "policy"
"""Who, where nobody but a rule has decided."""


def expire_due(book: Book, at_most: int, at_us: int) -> Done:
    """End what is due by the database's clock, at most so many of each kind.

    What was due when it was looked for may have been ended, or stopped for longer, by another process before this one
    had the lock.
    """
    rows = book.rows
    changed = 0
    for hold_id in rows.due_holds(at_us, at_most):
        changed += expire(book, hold_id, at_us)
    for review_id in rows.due_reviews(at_us, at_most):
        review = book.review(review_id)
        if review is not None and review.decided_at is None:
            command = DecideReview(
                review_id=review_id, decision="resume", who=POLICY, why="its time has come"
            )
            lifts = _is_over(book, review.scope, "pause", at_us)
            changed += decide_review(book, command, at_us, lifts=lifts).changed
    for scope, kind in rows.due_stops(at_us, at_most):
        if _is_over(book, scope, kind, at_us):
            command_to_lift = Lift(scope=scope, kind=kind, who=POLICY, why="its time has come")
            changed += lift(book, command_to_lift, at_us)
    for customer_id, currency in rows.due_grants(at_us, at_most):
        account = book.account(customer_id, currency)
        before = account.expired
        sweep_grants(book, account, at_us)
        changed += account.expired != before
    return Done(changed=changed)


def _is_over(book: Book, scope: str, kind: StopKind, at_us: int) -> bool:
    """Whether a stop is in force whose own time has come; somebody may have set it anew for longer, or for good."""
    stop = book.stops_of(customer_of(scope)).get((scope, kind))
    return stop is not None and stop.resumes_at is not None and stop.resumes_at <= at_us
