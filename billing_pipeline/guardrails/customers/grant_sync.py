"""Brings the guard's ledger to the credit grants of the registry; as often as one likes."""

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Engine, select

from billing_pipeline.contract.registry import Registry
from billing_pipeline.control.guard_tables import GUARD_GRANTS
from billing_pipeline.errors import GrantsRefusedError, GuardError, GuardUnavailableError
from billing_pipeline.guardrails.commands import AddGrant
from billing_pipeline.guardrails.customers.customer_days import DAY_US
from billing_pipeline.guardrails.customers.registry_grants import GrantKey, grant_commands
from billing_pipeline.guardrails.ports import Ledger

WAIT_SECONDS = 60.0


class SyncedGrants(NamedTuple):
    """What one sync did: grants added and voided, and those the ledger would not take, with why."""

    added: int
    voided: int
    refused: tuple[tuple[GrantKey, str], ...] = ()


def known_grants(control: Engine) -> dict[GrantKey, bool]:
    """The grants that the ledger has, and whether each has been voided."""
    table = GUARD_GRANTS.c
    query = select(table.customer_id, table.currency, table.grant_id, table.voided_at.is_not(None))
    with control.connect() as connection:
        return {
            (customer_id, currency, grant_id): bool(is_voided)
            for customer_id, currency, grant_id, is_voided in connection.execute(query)
        }


def sync_grants(ledger: Ledger, control: Engine, registry: Registry, at_us: int) -> SyncedGrants:
    """Add the grants that are in force, take back those that were voided; what is so already stays.

    Args:
        ledger: takes the commands; each is one step in its order.
        control: the control database, to read what the ledger has.
        registry: as it is now.
        at_us: UTC µs.

    Raises:
        GuardUnavailableError: the ledger cannot be reached; what was not done is done the next time.
    """
    commands = list(grant_commands(registry, at_us, known_grants(control)))
    added = voided = 0
    refused: list[tuple[GrantKey, str]] = []
    for command in commands:
        try:
            changed = ledger.submit(command).result(WAIT_SECONDS).changed
        except GuardUnavailableError:
            raise
        except GuardError as error:
            refused.append(((command.customer_id, command.currency, command.grant_id), str(error)))
            continue
        if isinstance(command, AddGrant):
            added += changed
        else:
            voided += changed
    return SyncedGrants(added, voided, tuple(refused))


class GrantSync:
    """`sync_grants` again and again, where something may have changed: another registry, another day, or a failure."""

    def __init__(self, ledger: Ledger, control: Engine, clock_us: Callable[[], int]) -> None:
        """Nothing is done before the first run.

        Args:
            ledger: takes the commands.
            control: its control database.
            clock_us: the instant now, UTC µs.
        """
        self._ledger = ledger
        self._control = control
        self._clock_us = clock_us
        self._done: tuple[Registry, int] | None = None

    def run(self, registry: Registry) -> SyncedGrants:
        """Bring the ledger to a registry.

        Raises:
            GuardUnavailableError: the ledger cannot be reached; the next run begins anew.
            GrantsRefusedError: it would not take some; the others are there, and the next run tries those again.
        """
        at_us = self._clock_us()
        day = at_us // DAY_US
        if self._done is not None and self._done[0] is registry and self._done[1] == day:
            return SyncedGrants(0, 0)
        synced = sync_grants(self._ledger, self._control, registry, at_us)
        if synced.refused:
            raise GrantsRefusedError(dict(synced.refused))
        self._done = registry, day
        return synced
