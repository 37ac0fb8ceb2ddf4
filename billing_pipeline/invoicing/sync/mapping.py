"""What each of our objects is in Stripe: the parameters to make it and to bring it up to date. Pure."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from billing_pipeline.contract.registry import Customer
from billing_pipeline.invoicing.meter_events.event_name import MeteredCharge, display_name, event_name
from billing_pipeline.invoicing.push.plan import canonical_json
from billing_pipeline.invoicing.stripe.port import CUSTOMER_ID
from billing_pipeline.rating.rule_book import Plan, RuleBook

Kind = Literal["customer", "product", "meter"]
PLAN = "billing_plan"
PROJECTS = "projects"
"""Metadata by which products are found again, and how projects reach Stripe."""
MAX_METADATA_LENGTH = 500
MAX_NAME_LENGTH = 256
MAX_EMAIL_LENGTH = 512


@dataclass(frozen=True, kw_only=True)
class SyncObject:
    """One object of ours as Stripe is to have it.

    Attributes:
        our_key: customer id, plan or add-on, or event name.
        create: parameters that make it.
        update: parameters that bring one that is there up to date.
        shown: the fields that people see and may have changed in Stripe, by their names there.
    """

    kind: Kind
    our_key: str
    create: Mapping[str, Any]
    update: Mapping[str, Any]
    shown: Mapping[str, str]

    @property
    def content_hash(self) -> str:
        """SHA-256 of what Stripe is to have; the order of fields does not count."""
        return hashlib.sha256(canonical_json(dict(self.update)).encode()).hexdigest()


def customer_object(customer: Customer, projects: Sequence[str]) -> SyncObject:
    """A customer: name, email where there is one, our id, and the projects as text."""
    name = customer.name[:MAX_NAME_LENGTH]
    metadata = {CUSTOMER_ID: customer.customer_id, PROJECTS: projects_text(projects)}
    values: dict[str, Any] = {"name": name, "metadata": metadata}
    shown = {"name": name}
    if customer.email and len(customer.email) <= MAX_EMAIL_LENGTH:
        values["email"] = shown["email"] = customer.email
    return SyncObject(
        kind="customer",
        our_key=customer.customer_id,
        # As the push makes it, so that it is one and the same request whoever is first; the rest is an update.
        create={"name": customer.name, "metadata": {CUSTOMER_ID: customer.customer_id}},
        update=values,
        shown=shown,
    )


def plan_object(plan: Plan, book: RuleBook) -> SyncObject:
    """A plan or add-on as a product. Its prices are ours and stay here."""
    charges = ", ".join([*(each.name for each in plan.charges), *(each.name for each in plan.flat_fees)])
    description = plan.description or f"Charges: {charges}"
    shown = {"name": plan.name[:MAX_NAME_LENGTH], "description": description[:MAX_METADATA_LENGTH]}
    values = {**shown, "metadata": {PLAN: plan.name, "rule_version": book.version}}
    return SyncObject(kind="product", our_key=plan.name, create=values, update=values, shown=shown)


def meter_object(metered: MeteredCharge) -> SyncObject:
    """The meter of a charge: sums, by the customer's id. Only its display name can change later."""
    name = display_name(metered)
    return SyncObject(
        kind="meter",
        our_key=event_name(metered),
        create={
            "display_name": name,
            "event_name": event_name(metered),
            "default_aggregation": {"formula": "sum"},
            "customer_mapping": {"type": "by_id", "event_payload_key": "stripe_customer_id"},
            "value_settings": {"event_payload_key": "value"},
        },
        update={"display_name": name},
        shown={"display_name": name},
    )


def projects_text(projects: Sequence[str]) -> str:
    """The projects, comma-separated; at most 500 characters, with a count of those that are left out."""
    text = ", ".join(projects)
    if len(text) <= MAX_METADATA_LENGTH:
        return text
    kept: list[str] = []
    for number, project in enumerate(projects):
        rest = f"and {len(projects) - number - 1} more"
        if len(", ".join([*kept, project, rest])) > MAX_METADATA_LENGTH:
            break
        kept.append(project)
    return ", ".join([*kept, f"and {len(projects) - len(kept)} more"])


def charges_foreseen(plan: Plan, book: RuleBook) -> Iterator[MeteredCharge]:
    """The charges of a plan with the dimensions that its rule book tells: those of a price table's rows, or none.

    Others (of a default price, say) are known once they are used.
    """
    for charge in plan.charges:
        group_by = book.meters[charge.meter].group_by
        if not group_by:
            yield MeteredCharge(plan.name, charge.name, charge.meter)
            continue
        table = getattr(charge.price, "table", None)
        by, prices = getattr(table, "by", ()), getattr(table, "prices", {})
        if sorted(by) == sorted(group_by):
            for values in prices:
                dimensions = dict(sorted(zip(by, values, strict=True)))
                text = msgspec.json.encode(dimensions).decode()
                yield MeteredCharge(plan.name, charge.name, charge.meter, text)


def meter_objects(plans: Iterable[tuple[Plan, RuleBook]], used: Iterable[MeteredCharge]) -> list[SyncObject]:
    """The meters of plans that deliver meter events: those foreseen, and those of usage that was planned; each once."""
    metered = {each for plan, book in plans for each in charges_foreseen(plan, book)} | set(used)
    return [meter_object(each) for each in sorted(metered)]
