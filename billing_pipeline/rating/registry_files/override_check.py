"""Checks the overrides of a registry file: their terms are read beside every plan and rule version they change."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from billing_pipeline.contract.registry import Registry, RegistryChange
from billing_pipeline.errors import DocumentFault
from billing_pipeline.rating.agreement import Agreement
from billing_pipeline.rating.registered_agreement import agreement_of
from billing_pipeline.rating.registry_files.contract_check import books_between
from billing_pipeline.rating.registry_files.entry import RegistryEntry
from billing_pipeline.rating.registry_files.override_terms import Target, read_override
from billing_pipeline.rating.rule_book import RuleBooks


def check_overrides(entries: Sequence[RegistryEntry], before: Registry, books: RuleBooks) -> None:
    """Note the faults of overrides that do not fit the plans they change.

    Args:
        entries: of one file.
        before: what is registered without them.
        books: all rule versions.
    """
    after = Registry([*before.changes, *(entry.change for entry in entries)])
    for entry in entries:
        if entry.change.change == "override":
            targets = _targets(entry, after, books)
            if targets:
                _check(entry, targets)


def _targets(entry: RegistryEntry, after: Registry, books: RuleBooks) -> list[Target]:
    """What it changes; none where that is a fault."""
    change = entry.change
    in_force = books_between(books, change)
    named = change.entity_id if change.entity == "plan_override" else change.details.get("plan")
    names = [str(named)] if named else _plans_held(agreement_of(after, change.entity_id), change)
    if not names:
        entry.field.fault("names no plan, and the customer has none while it holds; add `plan`")
        return []
    targets = [
        Target(book, plan)
        for book in in_force
        for name in names
        if (plan := book.plans.get(name) or book.add_ons.get(name)) is not None
    ]
    if not targets:
        known = sorted({name for book in in_force for name in (*book.plans, *book.add_ons)})
        entry.place("plan").fault(
            f"no rule book in force from {change.effective_at:%Y-%m-%d} on has a plan or add-on "
            f"{' or '.join(map(repr, names))}; known are {', '.join(known) or '(none)'}"
        )
        return []
    currencies = sorted({plan.currency for _, plan in targets})
    if len(currencies) > 1:
        entry.field.fault(
            f"is for plans in {' and '.join(currencies)}, but its amounts are in one currency; add `plan`"
        )
        return []
    return targets


def _plans_held(agreement: Agreement, change: RegistryChange) -> list[str]:
    """The plans a customer has on any day on which an override holds."""
    start, until = change.effective_at.date(), change.details.get("until")
    end = date.fromisoformat(str(until)) if until else None
    days = {start, *(day for each in agreement.assignments for day in (each.start, each.until) if day)}
    held = {agreement.plan_on(day) for day in days if start <= day and (end is None or day < end)}
    return sorted(name for name in held if name)


def _check(entry: RegistryEntry, targets: Sequence[Target]) -> None:
    """Read the terms beside each target. A fault that only some of them have says which."""
    found: dict[tuple[int, str, str], list[Target]] = {}
    applied = False
    for target in targets:
        faults: list[DocumentFault] = []
        keys = {name: replace(field, faults=faults) for name, field in entry.keys.items()}
        applied |= read_override(keys, target)
        for fault in faults:
            found.setdefault((fault.line, fault.field, fault.message), []).append(target)
    if not applied:
        _note_unknown(entry, targets)
    for (line, name, message), of in found.items():
        which = ", ".join(f"plan {plan.name}, rule version {book.version}" for book, plan in of)
        where = f" ({which})" if len(of) < len(targets) else ""
        entry.field.faults.append(DocumentFault(entry.field.path, line, name, message + where))


def _note_unknown(entry: RegistryEntry, targets: Sequence[Target]) -> None:
    charges = sorted({charge.name for _, plan in targets for charge in plan.charges})
    meters = sorted({name for book, _ in targets for name in book.meters})
    name = entry.change.details["charge"]
    if "meter" in entry.keys:
        entry.keys["meter"].fault(
            f"no rule book in force has a meter {entry.change.details['meter']!r}; known are {_all(meters)}"
        )
        return
    add = "" if "rows" in entry.keys else "; to add a charge, name the `meter` it prices"
    entry.place("charge").fault(f"the plan has no charge {name!r}; known are {_all(charges)}{add}")


def _all(names: Sequence[str]) -> str:
    return ", ".join(names) or "(none)"
