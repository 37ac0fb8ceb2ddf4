"""What was answered, read back from rows: a repeat of a request gets word for word what the first one got."""

from billing_pipeline.errors import GuardConflictError
from billing_pipeline.guardrails.answers import DenialRule, Denied, Ended, Granted
from billing_pipeline.guardrails.ledger.book import Book
from billing_pipeline.guardrails.ledger.rows import DenialRow, HoldRow, LateSettlement
from billing_pipeline.guardrails.requests import Reserve


def granted(hold: HoldRow) -> Granted:
    """What the reserve of a hold was answered, whatever has become of it since."""
    return Granted(
        hold_id=hold.hold_id,
        customer_id=hold.customer_id,
        project_id=hold.project_id,
        session_id=hold.session_id,
        currency=hold.currency,
        amount=hold.amount,
        granted_at=hold.granted_at,
        expires_at=hold.granted_until,
    )


def answered_before(before: HoldRow | DenialRow, request: Reserve, digest: str) -> Granted | Denied:
    """What a reserve with this key was answered.

    Raises:
        GuardConflictError: it was another request.
    """
    if before.request_hash != digest:
        raise GuardConflictError(
            "idempotency_conflict",
            f"idempotency_key {request.idempotency_key!r} was used for another reserve of {request.customer_id}; "
            "use a new key for another action",
        )
    if isinstance(before, HoldRow):
        return granted(before)
    return denied(
        request,
        DenialRule(before.rule),
        before.scope,
        before.currency,
        before.asked,
        window=before.time_window,
        limit=before.allowed,
        left=before.remaining,
        resets_at=before.resets_at,
        reason=before.reason,
    )


def denied(
    request: Reserve,
    rule: DenialRule,
    scope: str,
    currency: str,
    asked: int,
    *,
    window: str | None = None,
    limit: int | None = None,
    left: int | None = None,
    resets_at: int | None = None,
    reason: str = "",
) -> Denied:
    """A denial of a request."""
    return Denied(
        rule=rule,
        scope=scope,
        customer_id=request.customer_id,
        project_id=request.project_id,
        session_id=request.session_id,
        currency=currency,
        asked=asked,
        window=window,
        limit=limit,
        left=left,
        resets_at=resets_at,
        reason=reason,
    )


def record_denial(book: Book, denied: Denied, request: Reserve, digest: str, at_us: int) -> Denied:
    """Keep a denial as a fact; returns it."""
    row = DenialRow(
        customer_id=denied.customer_id,
        project_id=denied.project_id,
        session_id=denied.session_id,
        currency=denied.currency,
        idempotency_key=request.idempotency_key,
        request_hash=digest,
        rule=str(denied.rule),
        scope=denied.scope,
        time_window=denied.window,
        asked=denied.asked,
        allowed=denied.limit,
        remaining=denied.left,
        resets_at=denied.resets_at,
        reason=denied.reason,
        recorded_at=at_us,
    )
    book.answers[row.customer_id, row.idempotency_key] = row
    book.changes.denials.append(row)
    return denied


def ended(hold: HoldRow) -> Ended:
    """How a hold has ended."""
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


def settled_late(hold: HoldRow, late: LateSettlement) -> Ended:
    """How an expired hold was settled."""
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


def check_same(hold: HoldRow, key: str | None, digest: str | None, wanted_key: str, wanted: str) -> None:
    """Whether a request is a repeat of the one that has this key and digest.

    Raises:
        GuardConflictError: it is not.
    """
    if key == wanted_key and digest == wanted:
        return
    if key == wanted_key and hold.state != "released":
        raise GuardConflictError(
            "idempotency_conflict",
            f"idempotency_key {wanted_key!r} of hold {hold.hold_id} was used with other content; "
            "send what was sent first, or nothing",
        )
    raise has_ended(hold)


def has_ended(hold: HoldRow) -> GuardConflictError:
    """A hold ends once."""
    return GuardConflictError(
        "hold_ended",
        f"hold {hold.hold_id} is {hold.state} already; it ends once. Reserve anew for another action",
    )
