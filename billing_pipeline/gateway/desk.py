"""What people's work on the guard needs: its tables to read, its ledger to change them, and the plans' terms."""

import asyncio
from dataclasses import dataclass

from sqlalchemy import Engine

from billing_pipeline.access.api_key import ApiKey
from billing_pipeline.guardrails.commands import Command, Done
from billing_pipeline.guardrails.ports import Ledger, TermsBook

_WHO_CHARACTERS = 120
_LEDGER_SECONDS = 30.0


@dataclass(frozen=True)
class Desk:
    """Shared by the routes for people's programs and the console for people. Without terms plans are not shown."""

    control: Engine
    ledger: Ledger
    terms: TermsBook | None = None

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
