"""Customers of a registry that a test writes, under rule books that it writes too."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from textwrap import dedent

from billing_pipeline.contract.instants import microseconds_of
from billing_pipeline.contract.registry import Registry, RegistryChange
from billing_pipeline.guardrails.customers.current_customers import CurrentCustomers
from billing_pipeline.rating.holdings import Rules
from billing_pipeline.rating.rule_book import RuleBooks
from billing_pipeline.rating.rule_book_yaml import load_rule_book

START = date(2026, 1, 1)


def at(text: str) -> int:
    """UTC µs of an instant written as `2026-10-16T00:00:00Z`."""
    return microseconds_of(datetime.fromisoformat(text))


def made_books(folder: Path, *texts: str) -> RuleBooks:
    """Rule books of these texts, in the order in which they come into force."""
    books = []
    for number, text in enumerate(texts):
        path = folder / f"v{number}.yaml"
        path.write_text(dedent(text), "utf-8")
        books.append(load_rule_book(path))
    return RuleBooks(tuple(books))


def acme(
    plan: str | None = "growth", *, projects: Sequence[str] = ("p",), start: date = START, **details: object
) -> list[RegistryChange]:
    """The changes that register acme with projects and a plan; `trial_days` and `until` are the plan's."""
    terms: dict[str, object] = {
        name: details.pop(name) for name in ("trial_days", "until") if name in details
    }
    changes = [RegistryChange("customer", "acme", "register", start, details)]
    changes += [RegistryChange("project", f"acme/{project}", "register", start) for project in projects]
    if plan is not None:
        changes.append(RegistryChange("plan_assignment", "acme", "assign", start, {"plan": plan, **terms}))
    return changes


class MadeCustomers(CurrentCustomers):
    """The customers of a registry that a test changes."""

    def __init__(self, books: RuleBooks, changes: Iterable[RegistryChange]) -> None:
        self.registry = Registry(changes)
        self.missed = 0
        super().__init__(lambda: self.registry, Rules(books))

    def change(self, *changes: RegistryChange) -> None:
        """Let the registry have more changes; they are known after the next refresh."""
        self.registry = Registry([*self.registry.changes, *changes])

    def look_again(self) -> None:
        """Count it."""
        self.missed += 1
        super().look_again()
