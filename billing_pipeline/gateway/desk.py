"""What people's work on the guard needs: its tables to read, its ledger to change them, and the plans' terms."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Engine

from billing_pipeline.access.api_key import ApiKey
from billing_pipeline.control.clock import now_us
from billing_pipeline.guardrails.commands import Command, Done
from billing_pipeline.guardrails.ports import Ledger, TermsBook
from billing_pipeline.guardrails.review.limits import (
    PROJECTS_MOST,
    LimitInForce,
    limits_in_force,
    projects_of,
)
from billing_pipeline.guardrails.terms import Terms

_WHO_CHARACTERS = 120
_LEDGER_SECONDS = 30.0


@dataclass(frozen=True)
class Desk:
    """Shared by the routes for people's programs and the console for people.

    Attributes:
        terms: what plans say; without it only limits that were set are shown.
        registered: a customer's projects by the registry; without it those that spent in the billing period are known.
    """

    control: Engine
    ledger: Ledger
    terms: TermsBook | None = None
    registered: Callable[[str], Sequence[str]] = lambda _customer_id: ()

    def limits_of(self, customer_id: str) -> tuple[LimitInForce, ...]:
        """All limits of a customer and its projects that are in force."""
        known = dict.fromkeys((*self.registered(customer_id), *projects_of(self.control, customer_id)))
        return limits_in_force(self.control, customer_id, islice(known, PROJECTS_MOST), self.terms, now_us())

    def terms_of(self, customer_id: str) -> Terms | None:
        """What the customer's plan says now; None where it is not known, or nothing may be held."""
        project = next(iter(self.registered(customer_id)), None)
        if self.terms is None or project is None:
            return None
        found = self.terms.terms(customer_id, project, now_us())
        return found if isinstance(found, Terms) else None

    async def submit(self, command: Command) -> Done:
        """Have the ledger carry out a command; it is durable once this returns.

        Raises:
            GuardError: it is not possible, or the ledger cannot be reached.
            TimeoutError: the ledger did not answer; the command may be carried out all the same.
        """
        async with asyncio.timeout(_LEDGER_SECONDS):
            done: Done = await asyncio.wrap_future(self.ledger.submit(command))
            return done


def who_of(key: ApiKey, named: str | None) -> str:
    """Who did something: the key's holder, and the person that it named."""
    name = " ".join((named or "").split())[:_WHO_CHARACTERS]
    return f"{name} (key {key.name})" if name else f"key {key.name}"
