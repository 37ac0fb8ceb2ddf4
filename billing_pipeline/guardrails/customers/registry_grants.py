"""The credit grants of the registry as commands for the guard's ledger.

Only what a customer may spend now: a grant that has not started is added on its day, one that has ended never. Grants
for some charges only are left out, as a hold does not say which charge it is for: they pay at the invoice alone.
"""

from collections.abc import Iterator, Mapping
from datetime import date

from billing_pipeline.contract.instants import datetime_of, microseconds_of
from billing_pipeline.contract.registry import Registry
from billing_pipeline.guardrails.commands import AddGrant, VoidGrant
from billing_pipeline.guardrails.nano import nano_up
from billing_pipeline.rating.agreement import CreditGrant, midnight
from billing_pipeline.rating.registered_agreement import agreement_of

GrantKey = tuple[str, str, str]
"""Customer, currency, grant."""

KnownGrants = Mapping[GrantKey, bool]
"""The grants that a ledger has, and whether each has been voided."""


def grant_commands(registry: Registry, at_us: int, known: KnownGrants) -> Iterator[AddGrant | VoidGrant]:
    """What brings a ledger to the grants of a registry at an instant, by customer and in the order of the log.

    Carried out again it changes nothing: a ledger takes a grant's id once.

    Args:
        registry: as it is now.
        at_us: UTC µs; the UTC day of it decides.
        known: what the ledger has.
    """
    now = datetime_of(at_us)
    for customer_id in registry.known_customers():
        if not registry.contract_changes("credit_grant", customer_id):
            continue
        closed_at = registry.closed_at(customer_id)
        for grant in agreement_of(registry, customer_id).grants:
            key = (customer_id, grant.currency, grant.grant_id)
            if _is_voided(grant, now.date()):
                if known.get(key) is False:
                    yield VoidGrant(customer_id=customer_id, currency=grant.currency, grant_id=grant.grant_id)
            elif key not in known and (closed_at is None or now < closed_at) and _counts(grant, now.date()):
                yield _added(customer_id, grant)


def _is_voided(grant: CreditGrant, day: date) -> bool:
    return grant.voided_from is not None and grant.voided_from <= day


def _counts(grant: CreditGrant, day: date) -> bool:
    is_over = grant.expires is not None and grant.expires <= day
    return grant.start <= day and not is_over and not grant.charges and grant.amount > 0


def _added(customer_id: str, grant: CreditGrant) -> AddGrant:
    return AddGrant(
        customer_id=customer_id,
        currency=grant.currency,
        grant_id=grant.grant_id,
        amount=nano_up(
            grant.amount
        ),  # exact: amounts that can be billed have four digits after the point at most
        priority=grant.priority,
        expires_at=None if grant.expires is None else microseconds_of(midnight(grant.expires)),
    )
