"""A hold that is let live longer: an action that takes its time renews what it holds."""

from billing_pipeline.errors import GuardRequestError
from billing_pipeline.guardrails.answers import Extended
from billing_pipeline.guardrails.ledger.answering import check_same, has_ended
from billing_pipeline.guardrails.ledger.book import Book
from billing_pipeline.guardrails.ledger.hashing import request_hash
from billing_pipeline.guardrails.ports import TermsBook
from billing_pipeline.guardrails.requests import Extend
from billing_pipeline.guardrails.terms import NoTerms

_SECOND_US = 1_000_000


def extend(book: Book, request: Extend, at_us: int, terms_book: TermsBook) -> Extended:
    """Let a hold expire later.

    Raises:
        HoldNotFoundError: there is no such hold.
        GuardConflictError: it has ended, or the key was used for another extension.
        GuardRequestError: the time to live is not possible.
    """
    hold = book.known_hold(request.hold_id)
    digest = request_hash(request)
    if request.idempotency_key == hold.extension_key:
        check_same(hold, hold.extension_key, hold.extension_hash, request.idempotency_key, digest)
        return Extended(hold_id=hold.hold_id, expires_at=hold.expires_at)
    if hold.state != "pending":
        raise has_ended(hold)
    terms = terms_book.terms(hold.customer_id, hold.project_id, at_us)
    if not isinstance(terms, NoTerms) and not 0 < request.ttl_seconds <= terms.ttl_seconds_most:
        raise GuardRequestError("ttl_seconds", request.ttl_seconds, f"give 1 to {terms.ttl_seconds_most}")
    hold.expires_at = max(hold.expires_at, at_us + request.ttl_seconds * _SECOND_US)
    hold.extension_key, hold.extension_hash = request.idempotency_key, digest
    book.touch_hold(hold)
    return Extended(hold_id=hold.hold_id, expires_at=hold.expires_at)
