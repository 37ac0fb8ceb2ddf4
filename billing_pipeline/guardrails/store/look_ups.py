"""Look-ups of single rows, the same on both databases: what a group did not foresee, or need not, is read alone."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from typing import TypeVar

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
from billing_pipeline.guardrails.store import columns
from billing_pipeline.guardrails.store.columns import Kept, Values

T = TypeVar("T")

_REQUEST = ("customer_id", "idempotency_key")


class LookUps(ABC):
    """The part of `Rows` that reads by key. The place of a value is `place` in the words of the driver."""

    place: str

    @abstractmethod
    def _rows(self, statement: str, values: Values) -> list[Values]:
        """The rows of a statement within the open transaction.

        Raises:
            GuardUnavailableError: the database cannot be read.
        """

    def account(self, customer_id: str, currency: str) -> Account | None:
        """See `Rows`."""
        return self._one(columns.ACCOUNTS, columns.ACCOUNTS.key, (customer_id, currency), columns.account_of)

    def grants(self, customer_id: str, currency: str) -> list[Grant]:
        """See `Rows`."""
        return self._all(
            columns.GRANTS, ("customer_id", "currency"), (customer_id, currency), columns.grant_of
        )

    def window(self, key: WindowKey) -> WindowRow | None:
        """See `Rows`."""
        return self._one(columns.WINDOWS, columns.WINDOWS.key, key, columns.window_of)

    def session(self, scope: str) -> SessionRow | None:
        """See `Rows`."""
        return self._one(columns.SESSIONS, columns.SESSIONS.key, (scope,), columns.session_of)

    def limits(self, customer_id: str) -> list[LimitRow]:
        """See `Rows`."""
        return self._all(columns.LIMITS, ("customer_id",), (customer_id,), columns.limit_of)

    def stops(self, customer_id: str) -> list[StopRow]:
        """See `Rows`."""
        return self._all(columns.STOPS, ("customer_id",), (customer_id,), columns.stop_of, "AND active")

    def hold(self, hold_id: str) -> HoldRow | None:
        """See `Rows`."""
        return self._one(columns.HOLDS, ("hold_id",), (hold_id,), columns.hold_of)

    def answered(self, customer_id: str, idempotency_key: str) -> HoldRow | DenialRow | None:
        """See `Rows`."""
        values = (customer_id, idempotency_key)
        # Nearly every reserve is new: one look finds that out.
        if not self._rows(_is_answered(self.place), values + values):
            return None
        hold = self._one(columns.HOLDS, _REQUEST, values, columns.hold_of)
        return hold or self._one(columns.DENIALS, _REQUEST, values, columns.denial_of)

    def late_settlement(self, hold_id: str) -> LateSettlement | None:
        """See `Rows`."""
        return self._one(columns.LATE_SETTLEMENTS, ("hold_id",), (hold_id,), columns.late_settlement_of)

    def review(self, review_id: str) -> ReviewRow | None:
        """See `Rows`."""
        return self._one(columns.REVIEWS, ("review_id",), (review_id,), columns.review_of)

    def has_alert(self, key: WindowKey, amount: int) -> bool:
        """See `Rows`."""
        return bool(self._all(columns.ALERTS, (*columns.WINDOWS.key, "amount"), (*key, amount), bool))

    def has_true_up(self, customer_id: str, currency: str, reference: str) -> bool:
        """See `Rows`."""
        names = ("customer_id", "currency", "reference")
        return bool(self._all(columns.TRUE_UPS, names, (customer_id, currency, reference), bool))

    def position(self, name: str) -> int | None:
        """See `Rows`."""
        return self._one(columns.POSITIONS, ("name",), (name,), lambda row: int(row[1]))

    def _one(
        self, kept: Kept, names: tuple[str, ...], values: Values, make: Callable[[Values], T]
    ) -> T | None:
        found = self._all(kept, names, values, make)
        return found[0] if found else None

    def _all(
        self, kept: Kept, names: tuple[str, ...], values: Values, make: Callable[[Values], T], more: str = ""
    ) -> list[T]:
        return [make(row) for row in self._rows(_select(kept, names, self.place, more), values)]


@cache
def _select(kept: Kept, names: tuple[str, ...], place: str, more: str) -> str:
    where = " AND ".join(f"{name} = {place}" for name in names)
    return f"SELECT {', '.join(kept.columns)} FROM {kept.table} WHERE {where} {more}"


@cache
def _is_answered(place: str) -> str:
    where = " AND ".join(f"{name} = {place}" for name in _REQUEST)
    return f"SELECT 1 FROM guard_holds WHERE {where} UNION ALL SELECT 1 FROM guard_denials WHERE {where}"
