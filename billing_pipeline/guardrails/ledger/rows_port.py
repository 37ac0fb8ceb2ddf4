"""The port through which the book reads rows that it does not have yet."""

from typing import Protocol

from billing_pipeline.guardrails.commands import StopKind
from billing_pipeline.guardrails.ledger.rows import (
    Account,
    DenialRow,
    Grant,
    HoldRow,
    LateSettlement,
    LimitRow,
    ReviewRow,
    SessionRow,
    StopRow,
    WindowKey,
    WindowRow,
)


class Rows(Protocol):
    """Reads rows of the open transaction, under the locks that deciding needs."""

    def account(self, customer_id: str, currency: str) -> Account | None:
        """The account, or None."""

    def grants(self, customer_id: str, currency: str) -> list[Grant]:
        """All grants of an account."""

    def window(self, key: WindowKey) -> WindowRow | None:
        """A window's counters, or None."""

    def session(self, scope: str) -> SessionRow | None:
        """A session, or None."""

    def limits(self, customer_id: str) -> list[LimitRow]:
        """Limits set for a customer and what belongs to it."""

    def stops(self, customer_id: str) -> list[StopRow]:
        """Stops in force for a customer and what belongs to it."""

    def hold(self, hold_id: str) -> HoldRow | None:
        """A hold, or None."""

    def answered(self, customer_id: str, idempotency_key: str) -> HoldRow | DenialRow | None:
        """The hold or denial that a reserve's key has become, or None."""

    def late_settlement(self, hold_id: str) -> LateSettlement | None:
        """What an expired hold was settled at, or None."""

    def review(self, review_id: str) -> ReviewRow | None:
        """A review item, or None."""

    def has_alert(self, key: WindowKey, amount: int) -> bool:
        """Whether a crossing was told."""

    def has_true_up(self, customer_id: str, currency: str, reference: str) -> bool:
        """Whether a true-up was booked."""

    def position(self, name: str) -> int | None:
        """How far a follower has come, or None."""

    def due_holds(self, at_us: int, at_most: int) -> list[str]:
        """Open holds whose time has come, by id."""

    def due_reviews(self, at_us: int, at_most: int) -> list[str]:
        """Undecided reviews that go on by themselves now, by id."""

    def due_stops(self, at_us: int, at_most: int) -> list[tuple[str, StopKind]]:
        """Stops that end now: scope and kind."""

    def due_grants(self, at_us: int, at_most: int) -> list[tuple[str, str]]:
        """Accounts with grants that have expired and have something left."""
