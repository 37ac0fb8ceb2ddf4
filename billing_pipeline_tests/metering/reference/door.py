"""The reference model's door: which records are valid, and why the others are not."""

from collections.abc import Sequence

from billing_pipeline_tests.metering.reference.calendar import book_at, too_late_at
from billing_pipeline_tests.metering.reference.log import (
    DAY_US,
    MINUTE_US,
    Book,
    Control,
    Entry,
    Invalid,
    Usage,
)

Refusal = tuple[str, str]
"""Reason code and field; the field of an invalid record is the contract's affair and left empty."""


class Registry:
    """The registry that a record sees: the changes at lower offsets."""

    def __init__(self, log: Sequence[Entry], offset: int) -> None:
        self.registered: set[tuple[str, str]] = set()
        self.closed: dict[tuple[str, str], int] = {}
        for entry in log:
            change = entry.record
            if entry.offset >= offset or not isinstance(change, Control):
                continue
            if change.change == "register":
                self.registered.add((change.entity, change.entity_id))
            elif change.change == "close":
                self.closed[change.entity, change.entity_id] = change.effective_from

    def unknown(self, customer: str, project: str) -> str | None:
        """`customer` or `project` where that is not registered."""
        if ("customer", customer) not in self.registered:
            return "customer"
        return None if ("project", f"{customer}/{project}") in self.registered else "project"

    def refusal(self, customer: str, project: str, occurred_at: int) -> str | None:
        """The code for which a payer is refused, if any: it must be known, and open when the usage occurred."""
        if unknown := self.unknown(customer, project):
            return f"unknown_{unknown}"
        if occurred_at >= self.closed.get(("customer", customer), occurred_at + 1):
            return "customer_closed"
        if occurred_at >= self.closed.get(("project", f"{customer}/{project}"), occurred_at + 1):
            return "project_closed"
        return None


def refusal(books: Sequence[Book], log: Sequence[Entry], entry: Entry) -> Refusal | None:
    """Why a record (no control record) is rejected, or None if it is valid; the first reason that holds."""
    record = entry.record
    if isinstance(record, Invalid):
        return record.code, ""
    assert not isinstance(record, Control)
    if record.occurred_at > entry.received_at + 5 * MINUTE_US:
        return "future_time", "occurred_at"
    if not isinstance(record, Usage):
        return None
    book = book_at(books, record.occurred_at)
    if book is None:
        return "no_rules_in_force", "occurred_at"
    return (
        _refused_lateness(books, entry, record)
        or _refused_payer(Registry(log, entry.offset), record)
        or (None if record.unit in book.units else ("unknown_unit", "unit"))
    )


def _refused_lateness(books: Sequence[Book], entry: Entry, usage: Usage) -> Refusal | None:
    """A record that was sent again keeps its first receipt time for this one test."""
    came_first = entry.received_at if entry.first_received_at is None else entry.first_received_at
    too_late = came_first >= too_late_at(books, usage.occurred_at // DAY_US)
    return ("too_late", "occurred_at") if too_late else None


def _refused_payer(registry: Registry, usage: Usage) -> Refusal | None:
    """The first payer that is refused: the event's own customer and project, then those of its shares as listed."""
    payers = [("", usage.customer, usage.project)]
    payers += [
        (f"allocations[{index}].", each.customer, each.project) for index, each in enumerate(usage.shares)
    ]
    for place, customer, project in payers:
        if code := registry.refusal(customer, project, usage.occurred_at):
            return code, f"{place}{'customer' if 'customer' in code else 'project'}_id"
    return None
