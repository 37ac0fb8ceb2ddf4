"""Reads a customer's agreement out of the registry, as known at one point of the log."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from operator import attrgetter

from billing_pipeline.contract.registry import Registry, RegistryChange
from billing_pipeline.rating.agreement import (
    Agreement,
    Assignment,
    CreditGrant,
    Override,
    Redemption,
    Rerating,
)


def agreement_of(registry: Registry, customer_id: str) -> Agreement:
    """What a registry knows of a customer's agreement; a customer it does not know has none."""
    assigned = registry.contract_changes("plan_assignment", customer_id)
    added = registry.contract_changes("add_on_assignment", customer_id)
    names = {str(change.details.get("plan", "")) for change in assigned} | {
        change.entity_id.partition("/")[2] for change in added
    }
    overrides = [
        _override(change, plan)
        for plan in sorted(names)
        for change in registry.contract_changes("plan_override", plan)
    ]
    own = registry.contract_changes("contract_override", customer_id)
    return Agreement(
        customer_id=customer_id,
        assignments=_by_start(_assignment(change) for change in assigned),
        add_ons=_by_start(_add_on(change) for change in added),
        overrides=(
            *sorted(overrides, key=_START),
            *sorted([_override(change, _text(change, "plan")) for change in own], key=_START),
        ),
        redemptions=tuple(
            Redemption(str(change.details["coupon"]), _day(change))
            for change in registry.contract_changes("coupon", customer_id)
        ),
        grants=_grants(registry.contract_changes("credit_grant", customer_id)),
        reratings=tuple(
            Rerating(
                date.fromisoformat(str(change.details["usage_period"])),
                _text(change, "rules"),
                str(change.details.get("who", "")),
                str(change.details.get("why", "")),
                change.queue_offset,
            )
            for change in registry.contract_changes("rerating", customer_id)
        ),
        anchor_day=registry.anchor_day(customer_id),
        closed_at=registry.closed_at(customer_id),
    )


def _assignment(change: RegistryChange) -> Assignment:
    if change.change == "end":
        return Assignment("", _day(change))
    return Assignment(
        str(change.details["plan"]), _day(change), _until(change, "until"), _whole(change, "trial_days")
    )


def _add_on(change: RegistryChange) -> Assignment:
    name = change.entity_id.partition("/")[2]
    quantity = 0 if change.change == "end" else _whole(change, "quantity")
    return Assignment(
        name, _day(change), _until(change, "until"), quantity=1 if quantity is None else quantity
    )


def _override(change: RegistryChange, plan: str | None) -> Override:
    is_own = change.entity == "contract_override"
    return Override(
        str(change.details["name"]), _day(change), _until(change, "until"), plan, change.details, is_own
    )


def _grants(changes: Iterable[RegistryChange]) -> tuple[CreditGrant, ...]:
    found: dict[str, CreditGrant] = {}
    for change in changes:  # each grant before what voids it
        grant_id = change.entity_id.partition("/")[2]
        if change.change == "void":
            if grant_id in found:
                found[grant_id] = found[grant_id]._replace(voided_from=_day(change))
            continue
        charges = change.details.get("charges")
        grant = CreditGrant(
            grant_id=grant_id,
            currency=str(change.details["currency"]),
            amount=Decimal(str(change.details["amount"])),
            start=_day(change),
            priority=_whole(change, "priority") or 0,
            expires=_until(change, "expires"),
            charges=frozenset(map(str, charges)) if isinstance(charges, list) else frozenset(),
        )
        found[grant_id] = grant
    return tuple(found.values())


def _by_start(assignments: Iterable[Assignment]) -> tuple[Assignment, ...]:
    return tuple(sorted(assignments, key=_START))  # stable: by offset on a tie


_START = attrgetter("start")


def _day(change: RegistryChange) -> date:
    return change.effective_at.date()


def _text(change: RegistryChange, name: str) -> str | None:
    value = change.details.get(name)
    return None if value is None else str(value)


def _until(change: RegistryChange, name: str) -> date | None:
    value = _text(change, name)
    return None if value is None else date.fromisoformat(value)


def _whole(change: RegistryChange, name: str) -> int | None:
    value = _text(change, name)
    return None if value is None else int(value)
