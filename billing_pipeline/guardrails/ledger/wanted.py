"""Which counters and sessions a group of requests will look at, so that they can be read together."""

from collections.abc import Sequence

from billing_pipeline.guardrails.commands import Command, CountUnguarded, ExpireDue
from billing_pipeline.guardrails.ledger.book import Book
from billing_pipeline.guardrails.ledger.rows import HoldRow, WindowKey
from billing_pipeline.guardrails.ports import TermsBook
from billing_pipeline.guardrails.requests import Extend, Release, Request, Reserve, Settle
from billing_pipeline.guardrails.scope import customer_scope, project_scope, session_scope
from billing_pipeline.guardrails.terms import NoTerms
from billing_pipeline.guardrails.window import COUNTED, window_start


def wanted(
    book: Book, group: Sequence[Request | Command], at_us: int, terms_book: TermsBook
) -> tuple[list[WindowKey], list[str]]:
    """Window keys and session scopes; holds of the group are in the book by now."""
    found = _Wanted()
    for request in group:
        match request:
            case Reserve():
                terms = terms_book.terms(request.customer_id, request.project_id, at_us)
                if not isinstance(terms, NoTerms):
                    payer = (request.customer_id, request.project_id, request.session_id)
                    found.add(payer, terms.currency, at_us, terms.period_starts_at)
            case Settle() | Release() | Extend():
                found.add_hold(book.hold(request.hold_id))
            case ExpireDue():
                for hold in book.holds.values():
                    found.add_hold(hold)
            case CountUnguarded():
                for customer_id, project_id, session_id, currency, at, period, *_ in request.entries:
                    found.add((customer_id, project_id, session_id), currency, at, period)
    return list(found.windows), list(found.sessions)


class _Wanted:
    """In the order in which they are found, each once."""

    def __init__(self) -> None:
        self.windows: dict[WindowKey, None] = {}
        self.sessions: dict[str, None] = {}

    def add(
        self, payer: tuple[str, str, str | None], currency: str, at_us: int, period_starts_at: int
    ) -> None:
        customer_id, project_id, session_id = payer
        for scope in (customer_scope(customer_id), project_scope(customer_id, project_id)):
            for window in COUNTED:
                self.windows[scope, currency, window, window_start(window, at_us, period_starts_at)] = None
        if session_id is not None:
            self.sessions[session_scope(customer_id, session_id)] = None

    def add_hold(self, hold: HoldRow | None) -> None:
        if hold is not None:
            payer = (hold.customer_id, hold.project_id, hold.session_id)
            self.add(payer, hold.currency, hold.granted_at, hold.period_starts_at)
