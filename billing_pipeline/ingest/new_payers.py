"""The customers and projects of an import that are not registered yet, and the changes that register them."""

from collections import Counter

import msgspec

from billing_pipeline.contract.instants import datetime_of
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.registry import Registry, RegistryChange
from billing_pipeline.rating.registered_agreement import agreement_of


class _Payer(msgspec.Struct):
    customer_id: str
    project_id: str


_PAYERS = msgspec.json.Decoder(list[_Payer])


def payers_of(record: LogRecord) -> list[tuple[str, str]]:
    """The customers and projects a usage event must find registered: its own, and those of its shares."""
    payers = [(record.customer_id or "", record.project_id or "")]
    if record.allocations:
        payers.extend((payer.customer_id, payer.project_id) for payer in _PAYERS.decode(record.allocations))
    return payers


class NewPayers:
    """Customers and projects of the input that the registry does not know, with their first usage day."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known_customers = frozenset(registry.known_customers())
        self._first_us: dict[tuple[str, str], int] = {}
        self.events: Counter[tuple[str, str]] = Counter()
        """How many events (or shares of them) each has."""

    def see(self, record: LogRecord) -> None:
        """Note the payers of one usage event."""
        occurred_at = record.occurred_at or 0
        for payer in payers_of(record):
            customer_id, project_id = payer
            if customer_id in self._known_customers and self._registry.has_project(customer_id, project_id):
                continue
            self.events[payer] += 1
            self._first_us[payer] = min(self._first_us.get(payer, occurred_at), occurred_at)

    def changes(self, plan: str) -> list[RegistryChange]:
        """What to register: unknown customers with their plan, then the projects, all from 00:00 UTC on."""
        changes: list[RegistryChange] = []
        first_of_customer: dict[str, int] = {}
        for (customer_id, _), first in self._first_us.items():
            if customer_id not in self._known_customers:
                first_of_customer[customer_id] = min(first_of_customer.get(customer_id, first), first)
        for customer_id, first in sorted(first_of_customer.items()):
            day = datetime_of(first).date()
            changes.append(RegistryChange("customer", customer_id, "register", day, {"name": customer_id}))
            if agreement_of(self._registry, customer_id).plan_on(day) is None:
                changes.append(RegistryChange("plan_assignment", customer_id, "assign", day, {"plan": plan}))
        for (customer_id, project_id), first in sorted(self._first_us.items()):
            day = datetime_of(first).date()
            changes.append(RegistryChange("project", f"{customer_id}/{project_id}", "register", day))
        return changes
