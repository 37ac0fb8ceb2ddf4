"""What was spent in each window, the limits on it, and soft limits that are crossed.

Limits are the plan's, or those that were set for a scope instead. They are looked up once per customer and project, and
again when one is set or the plan's terms are others.
"""

import json
from typing import NamedTuple

from billing_pipeline.guardrails.ledger.book import Book, new_id
from billing_pipeline.guardrails.ledger.rows import ReviewRow, WindowRow
from billing_pipeline.guardrails.scope import customer_scope, project_scope
from billing_pipeline.guardrails.terms import Terms
from billing_pipeline.guardrails.window import COUNTED, window_start

MINUTE_US = 60_000_000


class Limit(NamedTuple):
    """A limit in force. `place` is where in a window set its counters are; None for `request`."""

    scope: str
    window: str
    severity: str
    amount: int
    place: int | None


class Limits(NamedTuple):
    """All limits of a customer and one of its projects, and of a session by its plan."""

    terms: Terms
    hard: tuple[Limit, ...]
    soft: tuple[Limit, ...]


def window_set(
    book: Book, customer_id: str, project_id: str, currency: str, *, at_us: int, period_starts_at: int
) -> tuple[WindowRow, ...]:
    """The counters that a hold granted at an instant moves: of the customer, then of the project; see `COUNTED`."""
    key = (customer_id, project_id, currency, at_us - at_us % MINUTE_US, period_starts_at)
    found = book.window_sets.get(key)
    if found is None:
        found = book.window_sets[key] = tuple(
            book.window((scope, currency, window, window_start(window, at_us, period_starts_at)))
            for scope in (customer_scope(customer_id), project_scope(customer_id, project_id))
            for window in COUNTED
        )
    return found


def limits_of(book: Book, customer_id: str, project_id: str, terms: Terms) -> Limits:
    """The limits on spend of a customer and a project."""
    known: Limits | None = book.plans.get((customer_id, project_id))
    if known is not None and known.terms is terms:
        return known
    scopes = {"customer": customer_scope(customer_id), "project": project_scope(customer_id, project_id)}
    amounts: dict[tuple[str, str, str], int | None] = {
        (scopes[term.scope_kind], term.window, term.severity): term.amount
        for term in terms.limits
        if term.scope_kind in scopes
    }
    for row in book.limits_set(customer_id).values():
        if row.scope in scopes.values() and row.currency == terms.currency and not row.inherits:
            amounts[row.scope, row.time_window, row.severity] = row.amount
    places: dict[tuple[str, str], int] = {
        (scope, window): place
        for place, (scope, window) in enumerate(
            (scope, window) for scope in scopes.values() for window in COUNTED
        )
    }
    found = [
        Limit(scope, window, severity, amount, places.get((scope, window)))
        for (scope, window, severity), amount in amounts.items()
        if amount is not None
    ]
    limits = Limits(
        terms,
        tuple(each for each in found if each.severity == "hard"),
        tuple(each for each in found if each.severity == "soft" and each.place is not None),
    )
    book.plans[customer_id, project_id] = limits
    return limits


def tell_crossings(
    book: Book, limits: Limits, windows: tuple[WindowRow, ...], customer_id: str, at_us: int
) -> None:
    """Alert on each soft limit that is reached, once for its window and amount."""
    for limit in limits.soft:
        assert limit.place is not None, "a soft limit on one request says nothing"  # noqa: S101 - made so above
        window = windows[limit.place]
        if window.used >= limit.amount:
            tell_crossing(book, window, limit.amount, customer_id, at_us)


def tell_crossing(book: Book, window: WindowRow, amount: int, customer_id: str, at_us: int) -> None:
    """Alert on one soft limit that is reached, unless that was told already."""
    if book.has_alert(window.key, amount):
        return
    book.alerts[window.key, amount] = True
    book.changes.alerts.append((*window.key, amount, window.used, at_us))
    evidence = {
        "rule": "soft_limit",
        "scope": window.scope,
        "window": window.window,
        "window_starts_at": window.starts_at,
        "severity": "soft",
        "limit": str(amount),
        "used": str(window.used),
    }
    review = ReviewRow(new_id(at_us), "soft_limit", window.scope, customer_id, window.currency, at_us)
    open_review(book, review, evidence)


def open_review(book: Book, review: ReviewRow, evidence: dict[str, object]) -> None:
    """Put something before people with its evidence, and tell it outside."""
    review.evidence = json.dumps(evidence, sort_keys=True, separators=(",", ":"))
    book.changes.new_reviews.append(review)
    told = {
        "review_id": review.review_id,
        "kind": review.kind,
        "scope": review.scope,
        "customer_id": review.customer_id,
        "currency": review.currency,
        "evidence": evidence,
        "opened_at": review.opened_at,
    }
    payload = json.dumps(told, sort_keys=True, separators=(",", ":"))
    book.changes.notices.append((f"review.{review.kind}", payload, review.opened_at))
