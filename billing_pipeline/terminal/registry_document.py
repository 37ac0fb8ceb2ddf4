"""What a customer has agreed to and what of it holds on a day, as a document: for JSON, and for the table."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from billing_pipeline.contract.registry import Customer, Registry, RegistryChange
from billing_pipeline.errors import UnknownCustomerError
from billing_pipeline.rating.agreement import Agreement, CreditGrant, Override
from billing_pipeline.rating.holdings import Rules
from billing_pipeline.rating.money import plain
from billing_pipeline.rating.registered_agreement import agreement_of
from billing_pipeline.rating.rule_book import RuleBooks
from billing_pipeline.terminal.registry_text import change_text

Document = dict[str, Any]
_ABOUT = frozenset({"name", "plan", "until"})


def as_document(registry: Registry, books: RuleBooks, customer_id: str, day: date) -> Document:
    """What holds on a day, as JSON: days as ISO dates, amounts as exact text.

    Raises:
        UnknownCustomerError: it is not registered.
    """
    customer = registry.customer(customer_id)
    if customer is None:
        raise UnknownCustomerError(customer_id, registry.known_customers())
    agreement = agreement_of(registry, customer_id)
    names = {each.name for each in (*agreement.assignments, *agreement.add_ons)}
    return {
        **_customer(customer),
        "day": day.isoformat(),
        "projects": list(registry.projects(customer_id)),
        "plan": _plan(agreement, books, day),
        "add_ons": [
            {
                "add_on": each.name,
                "quantity": each.quantity,
                "since": each.start.isoformat(),
                "until": _iso(each.until),
            }
            for each in agreement.add_on_assignments_on(day)
        ],
        "overrides": _overrides(agreement, day),
        "coupons": [
            {"coupon": each.coupon, "since": each.start.isoformat()}
            for each in agreement.redemptions
            if each.start <= day
        ],
        "credit_grants": [_grant(each, day) for each in agreement.grants if each.start <= day],
        "reratings": [
            {
                "usage_period": each.usage_period.isoformat(),
                "rules": each.rules,
                "who": each.who,
                "why": each.why,
                "queue_offset": each.queue_offset,
            }
            for each in agreement.reratings
        ],
        "history": [_change(each) for each in registry.changes if _is_about(each, customer_id, names)],
    }


def _customer(customer: Customer) -> Document:
    return {
        "customer_id": customer.customer_id,
        "name": customer.name,
        "email": customer.email,
        "anchor_day": customer.anchor_day,
        "registered_from": customer.registered_at.date().isoformat(),
        "closed_from": customer.closed_at.isoformat() if customer.closed_at else None,
    }


def _plan(agreement: Agreement, books: RuleBooks, day: date) -> Document | None:
    assignment = agreement.assignment_on(day)
    if assignment is None or not assignment.name:
        return None
    free_until = Rules(books).trial_until(agreement, assignment.name)
    return {
        "plan": assignment.name,
        "since": assignment.start.isoformat(),
        "until": _iso(assignment.until),
        "trial_until": _iso(free_until),
        "in_trial": free_until is not None and day < free_until,
    }


def _overrides(agreement: Agreement, day: date) -> list[Document]:
    """Those that change something the customer has on the day, each once, the one that counts last at the end."""
    plan = agreement.plan_on(day)
    held = [*([plan] if plan else []), *agreement.add_ons_on(day)]
    found: dict[tuple[bool, str, date], tuple[Override, str]] = {}
    for name in held:
        for each in agreement.overrides_on(name, day):
            found.setdefault((each.is_own, each.name, each.start), (each, name))
    return [
        {
            "name": each.name,
            "of": "customer" if each.is_own else "plan",
            "plan": name,
            "since": each.start.isoformat(),
            "until": _iso(each.until),
            "terms": {key: value for key, value in each.details.items() if key not in _ABOUT},
        }
        for each, name in found.values()
    ]


def _grant(grant: CreditGrant, day: date) -> Document:
    ends = [each for each in (grant.expires, grant.voided_from) if each is not None]
    return {
        "id": grant.grant_id,
        "amount": plain(grant.amount),
        "currency": grant.currency,
        "priority": grant.priority,
        "since": grant.start.isoformat(),
        "expires": _iso(grant.expires),
        "voided_from": _iso(grant.voided_from),
        "charges": sorted(grant.charges),
        "in_force": all(day < each for each in ends),
    }


def _is_about(change: RegistryChange, customer_id: str, names: Iterable[str]) -> bool:
    if change.entity == "plan_override":
        return change.entity_id in names
    return change.entity_id.partition("/")[0] == customer_id


def _change(change: RegistryChange) -> Document:
    return {
        "queue_offset": change.queue_offset,
        "effective_from": change.effective_at.isoformat(),
        "entity": change.entity,
        "entity_id": change.entity_id,
        "change": change.change,
        "details": dict(change.details),
        "text": change_text(change),
    }


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None
