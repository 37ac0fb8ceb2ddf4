"""Agent sessions and their breakers: closed, open once a rule was broken, half-open once a person lets it try again."""

from billing_pipeline.guardrails.answers import DenialRule
from billing_pipeline.guardrails.ledger.book import Book, new_id
from billing_pipeline.guardrails.ledger.counters import MINUTE_US, open_review
from billing_pipeline.guardrails.ledger.rows import HoldRow, ReviewRow, SessionRow
from billing_pipeline.guardrails.requests import Reserve
from billing_pipeline.guardrails.terms import BreakerTerms, Terms

Broken = tuple[DenialRule, int | None, int | None, int | None]
"""Rule, what it allows, what is left of it, when that begins anew."""


def broken_rule(
    session: SessionRow, request: Reserve, amount: int, terms: Terms, spend_limit: int | None, *, at_us: int
) -> Broken | None:
    """Which rule of the breaker a reserve would break, if any.

    Args:
        session: as it is before.
        request: asks for the step.
        amount: its estimate.
        terms: what holds for the customer.
        spend_limit: the least hard limit on the session's spend, or None.
        at_us: UTC µs.
    """
    if session.breaker == "open":
        return DenialRule.BREAKER_OPEN, None, None, None
    if session.breaker == "half_open" and session.probe_hold_id is not None:
        return DenialRule.BREAKER_OPEN, 1, 0, None
    rules = terms.breaker
    return (
        _too_long(session, rules, at_us)
        or _too_many_steps(session, request, rules)
        or _too_dear(session, amount, spend_limit)
        or _too_alike(session, request, rules)
        or _too_fast(session, request, rules, at_us)
    )


def _too_long(session: SessionRow, rules: BreakerTerms, at_us: int) -> Broken | None:
    if rules.duration_seconds is None or at_us < session.started_at + rules.duration_seconds * 1_000_000:
        return None
    return DenialRule.SESSION_DURATION, rules.duration_seconds, 0, None


def _too_many_steps(session: SessionRow, request: Reserve, rules: BreakerTerms) -> Broken | None:
    if rules.steps is None:
        return None
    left = rules.steps - (session.steps - session.steps_before)
    return (DenialRule.SESSION_STEPS, rules.steps, max(left, 0), None) if request.steps > left else None


def _too_dear(session: SessionRow, amount: int, spend_limit: int | None) -> Broken | None:
    if spend_limit is None:
        return None
    left = spend_limit - (session.used - session.spend_before)
    return (DenialRule.SESSION_SPEND, spend_limit, max(left, 0), None) if amount > left else None


def _too_alike(session: SessionRow, request: Reserve, rules: BreakerTerms) -> Broken | None:
    if rules.identical_calls is None or request.call is None or request.call != session.last_call:
        return None
    if session.repeats < rules.identical_calls:
        return None
    return DenialRule.IDENTICAL_CALLS, rules.identical_calls, 0, None


def _too_fast(session: SessionRow, request: Reserve, rules: BreakerTerms, at_us: int) -> Broken | None:
    if rules.steps_per_minute is None:
        return None
    minute = at_us - at_us % MINUTE_US
    taken = session.minute_steps if session.minute_starts_at == minute else 0
    if taken + request.steps <= rules.steps_per_minute:
        return None
    left = max(rules.steps_per_minute - taken, 0)
    return DenialRule.SESSION_RATE, rules.steps_per_minute, left, minute + MINUTE_US


PASSING = frozenset({DenialRule.SESSION_RATE, DenialRule.BREAKER_OPEN})
"""Rules that do not open the breaker: one passes by itself, the other says that it is open."""


def trip(book: Book, session: SessionRow, rule: str, evidence: dict[str, object], at_us: int) -> None:
    """Open the breaker, and put it before people."""
    session.breaker, session.opened_by, session.opened_at = "open", rule, at_us
    book.touch_session(session)
    told = {
        "rule": rule,
        "scope": session.scope,
        "steps": session.steps,
        "used": str(session.used),
        **evidence,
    }
    kind = "overdraft" if rule == "overdraft" else "breaker"
    review = ReviewRow(new_id(at_us), kind, session.scope, session.customer_id, session.currency, at_us)
    open_review(book, review, told)


def count_step(session: SessionRow, request: Reserve, hold: HoldRow, at_us: int) -> None:
    """A hold was granted."""
    minute = at_us - at_us % MINUTE_US
    if session.minute_starts_at != minute:
        session.minute_starts_at, session.minute_steps = minute, 0
    session.minute_steps += request.steps
    session.steps += request.steps
    session.pending += hold.amount
    session.last_at = at_us
    if request.call is not None and request.call == session.last_call:
        session.repeats += 1
    else:
        session.last_call, session.repeats = request.call, 1
    if session.breaker == "half_open":
        session.probe_hold_id = hold.hold_id


def end_step(session: SessionRow, hold: HoldRow, booked: int | None) -> None:
    """A hold has ended: at what it was settled at, or unused (None)."""
    session.pending -= hold.amount
    session.settled += booked or 0
    if session.probe_hold_id == hold.hold_id:
        session.probe_hold_id = None
        if session.breaker == "half_open" and booked is not None and booked <= hold.amount:
            session.breaker, session.opened_by, session.opened_at = "closed", None, None


def try_again(session: SessionRow, at_us: int) -> None:
    """Let an open breaker let one hold through at a time; what was counted before no longer counts."""
    session.breaker, session.probe_hold_id = "half_open", None
    session.steps_before, session.spend_before = session.steps, session.settled + session.unguarded
    session.started_at, session.last_call, session.repeats = at_us, None, 0
