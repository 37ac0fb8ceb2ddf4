"""Checks the entries of a registry file against what is registered: who there is, and what may not change any more.

Whether the rule books know what is agreed to is `contract_check`'s part.
"""

from collections.abc import Iterable, Sequence
from datetime import date

from billing_pipeline.contract.registry import Registry, RegistryChange
from billing_pipeline.rating.periods import next_period, period_end, period_start
from billing_pipeline.rating.registry_files.entry import RegistryEntry

_ENDS = frozenset({"close", "end", "void", "rerate"})
"""Changes that a closed customer may still have."""


def check_registry(entries: Sequence[RegistryEntry], before: Registry, today: date | None) -> None:
    """Note the faults of entries that do not fit what is registered.

    Args:
        entries: of one file.
        before: what is registered without them.
        today: a usage period that is rated again must have ended before it; None asks for no such thing.
    """
    after = Registry([*before.changes, *(entry.change for entry in entries)])
    for entry in entries:
        change = entry.change
        if change.entity == "plan_override":
            continue
        customer_id = change.entity_id.partition("/")[0]
        if after.customer(customer_id) is None:
            entry.place("customer" if change.change == "rerate" else "id").fault(
                f"customer {customer_id!r} is not registered; give the day from which it is, `effective_from`"
            )
            continue
        if before.known_as(change) is None:
            _check_closing(entry, after, customer_id)
        if change.change == "rerate":
            _check_rerating(entry, after, customer_id, today)
    _check_kept(entries, before)


def _check_closing(entry: RegistryEntry, after: Registry, customer_id: str) -> None:
    change = entry.change
    closed_at = after.closed_at(customer_id)
    registers = change.entity == "customer"
    if closed_at is None or change.change in _ENDS or registers or change.effective_at < closed_at:
        return
    entry.place("effective_from").fault(
        f"customer {customer_id} is closed from {closed_at:%Y-%m-%d}; what is agreed must begin before"
    )


def _check_rerating(entry: RegistryEntry, after: Registry, customer_id: str, today: date | None) -> None:
    fault = rerating_fault(
        after, customer_id, date.fromisoformat(str(entry.change.details["usage_period"])), today
    )
    if fault:
        entry.place("usage_period").fault(fault)


def rerating_fault(registry: Registry, customer_id: str, usage_period: date, today: date | None) -> str:
    """Why a usage period cannot be rated again; "" where it can.

    Args:
        registry: which knows the customer.
        customer_id: whose period it is.
        usage_period: its start.
        today: the period must have ended before it; None asks for no such thing.
    """
    anchor = registry.anchor_day(customer_id)
    start = period_start(usage_period, anchor)
    if start != usage_period:
        return (
            f"no period of {customer_id} starts on {usage_period}; "
            f"give {start} or {next_period(usage_period, anchor)}"
        )
    end = period_end(usage_period, anchor)
    if today is not None and end >= today:
        return f"the period ends on {end} only; its invoice will be made with what is known then, rate it again after"
    return ""


def _check_kept(entries: Iterable[RegistryEntry], before: Registry) -> None:
    """An anchor day and a grant stay what they are: invoices have been made of them."""
    granted = {change.slot: change for change in before.changes if change.change == "grant"}
    for entry in entries:
        change = entry.change
        known = before.customer(change.entity_id)
        if change.entity == "customer" and change.change == "register" and known is not None:
            anchor_day = change.details.get("anchor_day", 1)
            if anchor_day != known.anchor_day:
                entry.place("anchor_day").fault(
                    f"the periods of {change.entity_id} start on day {known.anchor_day}, not {anchor_day}, of a month;"
                    f" that cannot change, give anchor_day: {known.anchor_day}"
                )
        first = granted.get(change.slot)
        if first is not None and not first.says_the_same(change):
            entry.place("id").fault(
                f"{change.entity_id} was granted with other content ({_grant_text(first)}); a new grant needs a new id"
            )


def _grant_text(change: RegistryChange) -> str:
    details = ", ".join(f"{name} {value}" for name, value in change.details.items())
    return f"from {change.effective_at:%Y-%m-%d}, {details}"
