"""Limits that are set for one scope, in force at the next reserve; every change is kept with who and why."""

from billing_pipeline.guardrails.commands import SetLimit
from billing_pipeline.guardrails.ledger.book import Book
from billing_pipeline.guardrails.ledger.rows import LimitRow
from billing_pipeline.guardrails.scope import customer_of


def set_limit(book: Book, command: SetLimit, at_us: int) -> bool:
    """Set a limit; False where it is so already. Below what is used it denies everything until the window is over."""
    customer_id = customer_of(command.scope)
    limits = book.limits_set(customer_id)
    key = (command.scope, command.currency, command.window, command.severity)
    known = limits.get(key)
    amount = None if command.inherit else command.amount
    if known is not None and (known.amount, known.inherits) == (amount, command.inherit):
        return False
    if known is None and command.inherit:
        return False
    row = LimitRow(*key, amount, command.inherit)
    limits[key] = book.changes.limits[key] = row
    for customer_and_project in [each for each in book.plans if each[0] == customer_id]:
        del book.plans[customer_and_project]
    book.changes.limit_changes.append((*key, amount, command.inherit, command.who, command.why, at_us))
    return True
