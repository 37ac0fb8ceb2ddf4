"""The review queue: what waits for a person's word, and what was said before."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Engine, RowMapping, Select, func, literal, select, tuple_

from billing_pipeline.control.guard_tables import GUARD_REVIEW_DECISIONS, GUARD_REVIEWS
from billing_pipeline.errors import GuardRequestError, ReviewNotFoundError
from billing_pipeline.guardrails.review.customers import Customers
from billing_pipeline.guardrails.review.page import ROWS, Page, checked_rows, number_of
from billing_pipeline.guardrails.review.shown import Instant, Nano

ReviewState = Literal["open", "decided", "all"]

Evidence = dict[str, Any]

_DECISIONS_MOST = 1000
_REVIEW_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided, by whom and why; `amount` is the new limit where one was raised."""

    decision: str
    amount: Nano | None
    who: str
    why: str
    at: Instant


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """One item of the queue.

    Attributes:
        kind: `soft_limit`, `breaker`, `velocity`, `overdraft` or `kill`.
        evidence: what the guard wrote when it opened the item; amounts in it are nano-units.
        resumes_at: when it ends by itself; None where only a person ends it.
        decided_at: None while it is open.
    """

    review_id: str
    kind: str
    scope: str
    customer_id: str
    currency: str
    evidence: Evidence
    opened_at: Instant
    resumes_at: Instant | None
    decided_at: Instant | None
    decisions: tuple[Decision, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether nobody has decided yet."""
        return self.decided_at is None


def reviews(
    control: Engine,
    state: ReviewState = "open",
    *,
    customers: Customers = None,
    after: str | None = None,
    rows: int = ROWS,
) -> Page[Review]:
    """Items with their decisions, the newest first.

    Raises:
        GuardRequestError: `rows` or `after` is not possible.
    """
    table = GUARD_REVIEWS.c
    query = select(GUARD_REVIEWS).order_by(table.opened_at.desc(), table.review_id.desc())
    if state != "all":
        query = query.where(table.decided_at.is_(None) if state == "open" else table.decided_at.is_not(None))
    if customers is not None:
        query = query.where(table.customer_id.in_(sorted(customers)))
    if after is not None:
        opened_at, _, review_id = after.partition(".")
        instant = number_of(opened_at)
        if _REVIEW_ID.fullmatch(review_id) is None:
            raise GuardRequestError("after", after, "give what the page before said")
        query = query.where(
            tuple_(table.opened_at, table.review_id) < tuple_(literal(instant), literal(review_id))
        )
    with control.connect() as connection:
        found = connection.execute(query.limit(checked_rows(rows) + 1)).mappings().all()
        shown = _reviews(connection, found[:rows])
    last = shown[-1] if len(found) > rows else None
    return Page(shown, f"{last.opened_at}.{last.review_id}" if last else None)


def review(control: Engine, review_id: str, customers: Customers = None) -> Review:
    """One item.

    Raises:
        ReviewNotFoundError: there is none, or it is of a customer that may not be seen.
    """
    if _REVIEW_ID.fullmatch(review_id) is None:
        raise ReviewNotFoundError(review_id[:200])
    with control.connect() as connection:
        query: Select[Any] = select(GUARD_REVIEWS).where(GUARD_REVIEWS.c.review_id == review_id)
        for found in _reviews(connection, connection.execute(query).mappings().all()):
            if customers is None or found.customer_id in customers:
                return found
    raise ReviewNotFoundError(review_id)


def open_count(control: Engine, customers: Customers = None) -> int:
    """How many items wait."""
    query = select(func.count()).select_from(GUARD_REVIEWS).where(GUARD_REVIEWS.c.decided_at.is_(None))
    if customers is not None:
        query = query.where(GUARD_REVIEWS.c.customer_id.in_(sorted(customers)))
    with control.connect() as connection:
        return connection.execute(query).scalar_one()


def _reviews(connection: Connection, rows: Sequence[RowMapping]) -> tuple[Review, ...]:
    decisions = _decisions(connection, [row["review_id"] for row in rows])
    return tuple(
        Review(
            review_id=row["review_id"],
            kind=row["kind"],
            scope=row["scope"],
            customer_id=row["customer_id"],
            currency=row["currency"],
            evidence=_evidence(row["evidence"]),
            opened_at=row["opened_at"],
            resumes_at=row["resumes_at"],
            decided_at=row["decided_at"],
            decisions=tuple(decisions.get(row["review_id"], ())),
        )
        for row in rows
    )


def _decisions(connection: Connection, review_ids: Iterable[str]) -> dict[str, list[Decision]]:
    table = GUARD_REVIEW_DECISIONS.c
    query = (
        select(GUARD_REVIEW_DECISIONS)
        .where(table.review_id.in_(list(review_ids)))
        .order_by(table.id)
        .limit(_DECISIONS_MOST)
    )
    found: dict[str, list[Decision]] = {}
    for row in connection.execute(query).mappings():
        decision = Decision(
            decision=row["decision"],
            amount=row["amount"],
            who=row["who"],
            why=row["why"],
            at=row["recorded_at"],
        )
        found.setdefault(row["review_id"], []).append(decision)
    return found


def _evidence(text: str) -> Evidence:
    """What was written, whatever it is: an item that cannot be read must still be decided."""
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {"text": text}
    return found if isinstance(found, dict) else {"value": found}


def can_raise_limit(item: Review) -> bool:
    """Whether there is a limit that `raise_limit` could set; the ledger says the last word."""
    return item.kind in {"soft_limit", "velocity"} or item.evidence.get("rule") == "session_spend"
