"""Kill switches and pauses: set, lifted, and ended by time; every change is kept with who and why."""

import msgspec

from billing_pipeline.guardrails.commands import Lift, Stop
from billing_pipeline.guardrails.ledger.book import Book, new_id
from billing_pipeline.guardrails.ledger.counters import open_review
from billing_pipeline.guardrails.ledger.rows import ReviewRow, StopRow
from billing_pipeline.guardrails.scope import customer_of

_EVIDENCE = msgspec.json.Decoder(dict[str, object])


def stop(book: Book, command: Stop, at_us: int) -> bool:
    """Deny everything in the scope from now on; False where that is so already, for as long."""
    customer_id = customer_of(command.scope)
    stops = book.stops_of(customer_id)
    key = (command.scope, command.kind)
    known = stops.get(key)
    if known is not None and known.resumes_at == command.resumes_at:
        return False
    row = StopRow(command.scope, command.kind, True, command.resumes_at, command.who, command.why, at_us)
    stops[key] = book.changes.stops[key] = row
    _tell(book, row, at_us)
    if command.review_kind is not None:
        evidence = _EVIDENCE.decode(command.evidence) | {"why": command.why}
        review = ReviewRow(
            new_id(at_us), command.review_kind, command.scope, customer_id, command.currency, at_us
        )
        review.resumes_at = command.resumes_at
        open_review(book, review, evidence)
    return True


def lift(book: Book, command: Lift, at_us: int) -> bool:
    """Take back a stop; False where there is none."""
    stops = book.stops_of(customer_of(command.scope))
    key = (command.scope, command.kind)
    if stops.pop(key, None) is None:
        return False
    row = StopRow(command.scope, command.kind, False, None, command.who, command.why, at_us)
    book.changes.stops[key] = row
    _tell(book, row, at_us)
    return True


def _tell(book: Book, row: StopRow, at_us: int) -> None:
    book.changes.stop_changes.append(
        (row.scope, row.kind, row.active, row.resumes_at, row.who, row.why, at_us)
    )
