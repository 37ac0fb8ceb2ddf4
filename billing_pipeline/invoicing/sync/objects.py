"""Everything of ours that Stripe is to have: customers, plans and add-ons of the newest rule book, meters."""

from collections.abc import Iterable

from billing_pipeline.contract.registry import Registry
from billing_pipeline.invoicing.meter_events.event_name import MeteredCharge
from billing_pipeline.invoicing.policies.policy import InvoicingPolicies
from billing_pipeline.invoicing.sync.mapping import SyncObject, customer_object, meter_objects, plan_object
from billing_pipeline.rating.rule_book import RuleBooks


def sync_objects(
    registry: Registry, books: RuleBooks, policies: InvoicingPolicies, used: Iterable[MeteredCharge]
) -> list[SyncObject]:
    """All objects, customers first.

    Args:
        registry: as the log knows it now.
        books: all rule books; the last one tells the plans.
        policies: which plans deliver meter events.
        used: the charges of the meter events that were planned.
    """
    customers = [
        customer_object(customer, registry.projects(customer_id))
        for customer_id in registry.known_customers()
        if (customer := registry.customer(customer_id)) is not None
    ]
    newest = list(books)[-1]
    plans = [plan for _, plan in sorted({**newest.plans, **newest.add_ons}.items())]
    metered = [(plan, newest) for plan in plans if policies.of(plan.name).delivery == "meter_events"]
    return [*customers, *(plan_object(plan, newest) for plan in plans), *meter_objects(metered, used)]
