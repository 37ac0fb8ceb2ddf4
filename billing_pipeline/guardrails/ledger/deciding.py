"""What each request and command does: the one place that tells them apart."""

from billing_pipeline.guardrails.answers import Answer
from billing_pipeline.guardrails.commands import Command, Done
from billing_pipeline.guardrails.ledger.book import Book
from billing_pipeline.guardrails.ledger.ending import release, settle
from billing_pipeline.guardrails.ledger.extending import extend
from billing_pipeline.guardrails.ledger.operating import operate
from billing_pipeline.guardrails.ledger.reserving import reserve
from billing_pipeline.guardrails.ports import Pricer, TermsBook
from billing_pipeline.guardrails.requests import Extend, Release, Request, Reserve, Settle


def decide(
    book: Book, request: Request | Command, at_us: int, terms_book: TermsBook, pricer: Pricer
) -> Answer | Done:
    """Decide one request against the book and move what it moves; `at_us` is the database's clock.

    One that raises has moved nothing.

    Raises:
        GuardError: see `ports.Ledger`.
    """
    match request:
        case Reserve():
            return reserve(book, request, at_us, terms_book, pricer)
        case Settle():
            return settle(book, request, at_us, terms_book, pricer)
        case Release():
            return release(book, request, at_us)
        case Extend():
            return extend(book, request, at_us, terms_book)
    return operate(book, request, at_us, terms_book)
