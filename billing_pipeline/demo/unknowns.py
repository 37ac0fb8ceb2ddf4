"""Events that are well-formed but name what the registry or the rules do not know, not yet or no longer."""

from collections.abc import Iterator
from datetime import timedelta

from billing_pipeline.contract.reason_codes import RejectionCode
from billing_pipeline.demo.customers import (
    CLOSED_AT,
    CLOSING,
    GROWING,
    LATER_PROJECT,
    LATER_PROJECT_AT,
)
from billing_pipeline.demo.sending import Chance, DemoRecord, Work, rejected, sent
from billing_pipeline.demo.traffic import output

OF_EACH_KIND = 5
PROJECT_USAGE = 30
USAGE_AFTER_CLOSURE = 12


def unknown_names(seed: int) -> Iterator[DemoRecord]:
    """A customer, a project and a unit that nobody ever registered."""
    chance = Chance(seed, "unknown names")
    for field, name, code in (
        ("customer_id", "nobody-inc", RejectionCode.UNKNOWN_CUSTOMER),
        ("project_id", "no-such-project", RejectionCode.UNKNOWN_PROJECT),
        ("unit", "furlong", RejectionCode.UNKNOWN_UNIT),
    ):
        for number in range(OF_EACH_KIND):
            work = chance.work()
            event = output(f"unknown-{field}-{number}.output", work, chance) | {field: name}
            yield sent(event, chance.soon_after(work.occurred_at), rejected(code), "unknown names")


def new_project(seed: int) -> Iterator[DemoRecord]:
    """A project is used before it is registered (rejected) and after it (billed)."""
    chance = Chance(seed, "new project")
    for number in range(PROJECT_USAGE):
        early = number < OF_EACH_KIND
        shift = timedelta(minutes=chance.random.randrange(1, 12 * 60 if early else 20 * 24 * 60))
        occurred_at = LATER_PROJECT_AT - shift if early else LATER_PROJECT_AT + shift
        event = output(f"project-{number:03}.output", Work(GROWING, LATER_PROJECT, occurred_at), chance)
        kind = rejected(RejectionCode.UNKNOWN_PROJECT) if early else "valid"
        # At most 4 s later, so never across the registration a minute or more away.
        yield sent(event, chance.soon_after(occurred_at), kind, "new project")


def closed_customer(seed: int) -> Iterator[DemoRecord]:
    """A customer has left, but a forgotten job of theirs runs on."""
    chance = Chance(seed, "closed customer")
    for number in range(USAGE_AFTER_CLOSURE):
        occurred_at = CLOSED_AT + timedelta(minutes=chance.random.randrange(1, 3 * 24 * 60))
        work = Work(CLOSING, CLOSING.projects[0], occurred_at)
        event = output(f"forgotten-{number:03}.output", work, chance)
        kind = rejected(RejectionCode.CUSTOMER_CLOSED)
        yield sent(event, chance.soon_after(occurred_at), kind, "closed customer")
