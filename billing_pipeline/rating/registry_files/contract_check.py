"""Checks the contracts of a registry file against the rule books: do they know what is agreed to?

What the terms of an override say is `override_check`'s part.
"""

import difflib
from collections.abc import Collection, Mapping, Sequence
from datetime import date

from billing_pipeline.contract.registry import Registry, RegistryChange
from billing_pipeline.rating.agreement import ONE_DAY, Agreement, midnight
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.periods import next_period, period_start
from billing_pipeline.rating.registered_agreement import agreement_of
from billing_pipeline.rating.registry_files.entry import RegistryEntry
from billing_pipeline.rating.rule_book import RuleBook, RuleBooks


def check_contracts(entries: Sequence[RegistryEntry], before: Registry, books: RuleBooks) -> None:
    """Note the faults of entries that name what no rule book in force knows, or change a customer's currency.

    Args:
        entries: of one file.
        before: what is registered without them.
        books: all rule versions.
    """
    charges = {
        name
        for book in books
        for plan in (*book.plans.values(), *book.add_ons.values())
        for name in plan.charge_names
    }
    for entry in entries:
        change = entry.change
        in_force = books_between(books, change)
        match change.change:
            case "assign" if change.entity == "plan_assignment":
                names = {name for book in in_force for name in book.plans}
                _known(entry.place("plan"), "a plan", str(change.details["plan"]), names, change)
            case "assign":
                names = {name for book in in_force for name in book.add_ons}
                add_on = change.entity_id.partition("/")[2]
                _known(entry.place("add_on"), "an add-on", add_on, names, change)
            case "redeem":
                book = books.in_force(change.effective_at)
                coupons = book.coupons if book else ()
                _known(entry.place("coupon"), "a coupon", str(change.details["coupon"]), coupons, change)
            case "rerate" if "rules" in change.details:
                _choice(
                    entry.place("rules"), "a rule version", str(change.details["rules"]), _versions(books)
                )
            case "grant":
                for item in entry.keys["charges"].items() if "charges" in entry.keys else ():
                    _choice(item, "a charge", item.text(), charges)
            case _:
                pass
    _check_currencies(entries, before, books)


def books_between(books: RuleBooks, change: RegistryChange) -> list[RuleBook]:
    """The rule books that are in force while a change holds, however late it ends."""
    start, until = change.effective_at, change.details.get("until")
    end = midnight(date.fromisoformat(str(until))) if until else None
    first = books.in_force(start)
    return [
        book
        for book in books
        if book is first or (book.effective_from > start and (end is None or book.effective_from < end))
    ]


def _versions(books: RuleBooks) -> list[str]:
    return [book.version for book in books]


def _known(field: Field, kind: str, name: str, names: Collection[str], change: RegistryChange) -> None:
    span = f"from {change.effective_at:%Y-%m-%d} on"
    if kind == "a coupon":
        span = f"on {change.effective_at:%Y-%m-%d}"
    _choice(field, kind, name, names, f" in force {span}")


def _choice(field: Field, kind: str, name: str, names: Collection[str], span: str = "") -> None:
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    known = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(names)) or '(none)'}"
    field.fault(f"no rule book{span} has {kind} {name!r}; {known}")


def _check_currencies(entries: Sequence[RegistryEntry], before: Registry, books: RuleBooks) -> None:
    """A plan in another currency may start with a usage period only: a period's prices have one."""
    after = Registry([*before.changes, *(entry.change for entry in entries)])
    currencies = {name: plan.currency for book in books for name, plan in book.plans.items()}
    assigned: dict[str, list[RegistryEntry]] = {}
    for entry in entries:
        if entry.change.entity == "plan_assignment":
            assigned.setdefault(entry.change.entity_id, []).append(entry)
    for customer_id, mine in assigned.items():
        agreement = agreement_of(after, customer_id)
        known = _currency_changes(agreement_of(before, customer_id), currencies)
        for day, (old, new) in _currency_changes(agreement, currencies).items():
            if period_start(day, agreement.anchor_day) != day and day not in known:
                _entry_of(mine, day).fault(
                    f"changes the currency from {old} to {new} on {day}, within a usage period; let the plan start "
                    f"with one, on {next_period(day, agreement.anchor_day)}"
                )


def _currency_changes(agreement: Agreement, currencies: Mapping[str, str]) -> dict[date, tuple[str, str]]:
    """The days on which a plan in another currency follows, with both currencies."""
    found: dict[date, tuple[str, str]] = {}
    days = {day for each in agreement.assignments for day in (each.start, each.until) if day is not None}
    for day in sorted(days - {date.min}):
        old, new = (currencies.get(agreement.plan_on(each) or "") for each in (day - ONE_DAY, day))
        if old and new and old != new:
            found[day] = old, new
    return found


def _entry_of(entries: Sequence[RegistryEntry], day: date) -> Field:
    """Where the entry stands that changes something on a day; else the customer's last one."""
    for entry in entries:
        if entry.change.effective_at == midnight(day):
            return entry.place("effective_from")
        if entry.change.details.get("until") == day.isoformat():
            return entry.place("until")
    return entries[-1].field
