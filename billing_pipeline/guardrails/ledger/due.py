"""What ends by time: holds, pauses, grants, and reviews that the policy answers itself."""

from billing_pipeline.guardrails.commands import DecideReview, Done, Lift
from billing_pipeline.guardrails.ledger.book import Book
from billing_pipeline.guardrails.ledger.credit import sweep_grants
from billing_pipeline.guardrails.ledger.ending import expire
from billing_pipeline.guardrails.ledger.reviewing import decide_review
from billing_pipeline.guardrails.ledger.stops import lift

POLICY = "policy"
"""Who, where nobody but a rule has decided."""


def expire_due(book: Book, at_most: int, at_us: int) -> Done:
    """End what is due by the database's clock, at most so many of each kind."""
    rows = book.rows
    changed = 0
    for hold_id in rows.due_holds(at_us, at_most):
        changed += expire(book, hold_id, at_us)
    for review_id in rows.due_reviews(at_us, at_most):
        command = DecideReview(review_id=review_id, decision="resume", who=POLICY, why="its time has come")
        changed += decide_review(book, command, at_us).changed
    for scope, kind in rows.due_stops(at_us, at_most):
        command_to_lift = Lift(scope=scope, kind=kind, who=POLICY, why="its time has come")
        changed += lift(book, command_to_lift, at_us)
    for customer_id, currency in rows.due_grants(at_us, at_most):
        account = book.account(customer_id, currency)
        before = account.expired
        sweep_grants(book, account, at_us)
        changed += account.expired != before
    return Done(changed=changed)
