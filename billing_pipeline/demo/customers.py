"""The demo's customers: who they are, what they use, and how they come and go in the registry."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from billing_pipeline.contract.registry import RegistryChange

OPENS_AT = datetime(2026, 10, 1, 1, tzinfo=UTC)
"""The first receipt. An hour after midnight, so that it falls into the receipt day 1 October."""

CUSTOMERS_SINCE = date(2026, 7, 1)


@dataclass(frozen=True)
class Customer:
    """A customer of the demo. `busyness` is its share of the traffic, relative to the others."""

    customer_id: str
    name: str
    plan: str
    projects: tuple[str, ...]
    model: str
    busyness: int


CUSTOMERS = (
    Customer("aurora-support", "Aurora Support GmbH", "growth", ("support-bot", "voice"), "atlas-small", 6),
    Customer(
        "bluefin-legal",
        "Bluefin Legal LLP",
        "enterprise",
        ("contract-review", "research", "intake"),
        "atlas-large",
        4,
    ),
    Customer("cobalt-robotics", "Cobalt Robotics Inc.", "growth", ("fleet-agent",), "atlas-large", 5),
    Customer("dandelion-health", "Dandelion Health AG", "enterprise", ("triage", "notes"), "atlas-large", 3),
    Customer("ember-games", "Ember Games Oy", "starter", ("npc-dialogue",), "atlas-small", 4),
    Customer("fjord-analytics", "Fjord Analytics AS", "starter", ("reports",), "atlas-small", 2),
)

CLOSING = CUSTOMERS[5]
"""The customer that leaves near the end of the month."""

CLOSED_AT = datetime(2026, 10, 28, tzinfo=UTC)
CLOSURE_RECEIVED_AT = datetime(2026, 10, 26, 15, tzinfo=UTC)

GROWING = CUSTOMERS[0]
"""The customer that registers one more project in the middle of the month."""

LATER_PROJECT = "onboarding"
LATER_PROJECT_AT = datetime(2026, 10, 10, 9, tzinfo=UTC)


def registry_changes() -> list[tuple[datetime, RegistryChange]]:
    """Every change with its receipt time, in order: customers at first, a project and a closure later."""
    changes: list[tuple[datetime, RegistryChange]] = []
    for customer in CUSTOMERS:
        name = customer.customer_id
        details = {"name": customer.name, "email": f"billing@{name}.example"}
        opening = [
            RegistryChange("customer", name, "register", CUSTOMERS_SINCE, details),
            RegistryChange("plan_assignment", name, "assign", CUSTOMERS_SINCE, {"plan": customer.plan}),
        ]
        opening += [
            RegistryChange("project", f"{name}/{project}", "register", CUSTOMERS_SINCE)
            for project in customer.projects
        ]
        changes += [(OPENS_AT, change) for change in opening]
    project = f"{GROWING.customer_id}/{LATER_PROJECT}"
    changes.append((LATER_PROJECT_AT, RegistryChange("project", project, "register", LATER_PROJECT_AT)))
    closure = RegistryChange("customer", CLOSING.customer_id, "close", CLOSED_AT)
    changes.append((CLOSURE_RECEIVED_AT, closure))
    return changes
