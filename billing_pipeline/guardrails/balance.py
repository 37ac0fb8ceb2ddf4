"""What a customer has left: credit, limits, and what its agent run has used.

Amounts are nano-units, instants UTC µs.
"""

from typing import Protocol

import msgspec


class Funds(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's account in one currency.

    Attributes:
        available: what may be held; below zero it is what a customer without credit owes.
        overdraft: debt that no credit covered, never above zero.
        granted: all credit there ever was, less what was taken back.
    """

    currency: str
    available: int
    held: int
    spent: int
    overdraft: int
    expired: int
    granted: int


class GrantLeft(msgspec.Struct, frozen=True, kw_only=True):
    """A credit grant, and what is left of it."""

    grant_id: str
    currency: str
    amount: int
    remaining: int
    priority: int
    expires_at: int | None


class LimitLeft(msgspec.Struct, frozen=True, kw_only=True):
    """A limit in force.

    Attributes:
        window: `request`, `minute`, `hour`, `day`, `period` or `session`.
        severity: `hard` denies, `soft` alerts.
        amount: None is no limit, which an operator has set.
        used: settled, held and unguarded in the window now; None where each request or session has its own.
        left: never below zero; None where there is no limit or no count.
        resets_at: when the window begins anew; None where it does not.
    """

    scope: str
    currency: str
    window: str
    severity: str
    amount: int | None
    used: int | None
    left: int | None
    resets_at: int | None


class SessionUse(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent run has used, and whether its breaker is `closed`, `open` or `half_open`."""

    session_id: str
    project_id: str
    currency: str
    started_at: int
    last_at: int
    steps: int
    pending: int
    settled: int
    unguarded: int
    breaker: str
    opened_by: str | None


class CustomerBalance(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is left to a customer, one of its projects and one of its sessions."""

    customer_id: str
    funds: tuple[Funds, ...]
    grants: tuple[GrantLeft, ...]
    limits: tuple[LimitLeft, ...]
    session: SessionUse | None


class BalanceReader(Protocol):
    """Reads balances; may wait for the database."""

    def balance(self, customer_id: str, project_id: str | None, session_id: str | None) -> CustomerBalance:
        """The customer's balance; limits of the project and the session's counters where they are given.

        Raises:
            GuardUnavailableError: it cannot be read.
        """

    def customer_of(self, hold_id: str) -> str | None:
        """Whose hold it is; None where there is no such hold.

        Raises:
            GuardUnavailableError: it cannot be read.
        """
