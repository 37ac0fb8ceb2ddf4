"""A ledger over a real database with terms and prices that a test sets."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Select, make_url, select

from billing_pipeline.control import guard_tables
from billing_pipeline.control.database import open_control
from billing_pipeline.errors import UnpricedUsageError
from billing_pipeline.guardrails.answers import Answer, Denied, Granted
from billing_pipeline.guardrails.ledger_writer import LedgerWriter
from billing_pipeline.guardrails.nano import nano_nearest, nano_up
from billing_pipeline.guardrails.requests import Request, Reserve
from billing_pipeline.guardrails.store.port import Store
from billing_pipeline.guardrails.store.sqlite_store import SqliteStore
from billing_pipeline.guardrails.terms import NoTerms, Terms
from billing_pipeline.guardrails.usage import Usage

START_US = 1_796_083_200_000_000  # 2026-12-01T00:00:00Z
WAIT_SECONDS = 60
MONTH_US = 31 * 86_400_000_000


def made_terms(**fields: object) -> Terms:
    """Terms without any limit, in US dollars, unless told otherwise."""
    default: dict[str, object] = {
        "plan": "growth",
        "currency": "usd",
        "period_starts_at": START_US,
        "period_ends_at": START_US + MONTH_US,
    }
    return Terms(**(default | fields))  # type: ignore[arg-type]  # a test's own


class TermsByCustomer:
    """The terms that a test gave a customer, or those for all; a customer named `nobody…` has none."""

    def __init__(self, for_all: Terms | None = None) -> None:
        self.for_all = for_all or made_terms()
        self.own: dict[str, Terms] = {}

    def terms(self, customer_id: str, project_id: str, at_us: int) -> Terms | NoTerms:  # noqa: ARG002 - as the port
        """See the port."""
        if customer_id.startswith("nobody"):
            return NoTerms("unknown_customer", "register it")
        return self.own.get(customer_id, self.for_all)


class PriceByUnit:
    """A token costs 1,000.5 nano-units; nothing else has a price."""

    def estimate(self, customer_id: str, project_id: str, usage: Sequence[Usage], at_us: int) -> int:  # noqa: ARG002 - as the port
        """See the port."""
        return nano_up(_amount(usage))

    def actual(self, customer_id: str, project_id: str, usage: Sequence[Usage], at_us: int) -> int:  # noqa: ARG002 - as the port
        """See the port."""
        return nano_nearest(_amount(usage))


def _amount(usage: Sequence[Usage]) -> Decimal:
    for each in usage:
        if each.unit != "token":
            raise UnpricedUsageError(f"usage in {each.unit}", "use token")
    return sum((Decimal(each.quantity) for each in usage), Decimal()) * Decimal("0.0000010005")


class Clock:
    """A clock that a test sets, UTC µs."""

    def __init__(self, at_us: int = START_US) -> None:
        self.at_us = at_us

    def __call__(self) -> int:
        return self.at_us

    def pass_seconds(self, seconds: float) -> None:
        """Let time pass."""
        self.at_us += int(seconds * 1_000_000)


class MadeLedger:
    """One writer over a database, and what it goes by."""

    def __init__(self, url: str, terms: TermsByCustomer | None = None, clock: Clock | None = None) -> None:
        self.engine: Engine = open_control(url)
        self.terms = terms or TermsByCustomer()
        self.clock = clock or Clock()
        self.store = open_store(url, self.clock)
        # No sweep of its own: tests say when time has passed.
        self.writer = LedgerWriter(self.store, self.terms, PriceByUnit(), sweep_seconds=3600)

    def ask(self, request: Request) -> Answer:
        """What the ledger answers."""
        answer: Answer = self.writer.submit(request).result(WAIT_SECONDS)
        return answer

    def do(self, request: Any) -> Any:
        """What the ledger answers, whatever kind of answer that is."""
        return self.writer.submit(request).result(WAIT_SECONDS)

    def reserve(self, key: str, amount: int | None = 75, **fields: object) -> Granted:
        """A hold that must be granted."""
        answer = self.ask(made_reserve(key, amount, **fields))
        assert isinstance(answer, Granted), answer
        return answer

    def denied(self, key: str, amount: int | None = 75, **fields: object) -> Denied:
        """A reserve that must be denied."""
        answer = self.ask(made_reserve(key, amount, **fields))
        assert isinstance(answer, Denied), answer
        return answer

    def rows(self, query: Select[Any]) -> list[dict[str, Any]]:
        """Rows of the guard's tables."""
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def account(self, customer_id: str, currency: str = "usd") -> dict[str, int]:
        """The balances of an account, without what has expired where nothing has."""
        account = guard_tables.GUARD_ACCOUNTS
        (row,) = self.rows(
            select(account).where(account.c.customer_id == customer_id, account.c.currency == currency)
        )
        names = [
            "issued",
            "available",
            "held",
            "spent",
            "overdraft",
            *(["expired"] if row["expired"] else []),
        ]
        assert sum(row[name] for name in names) == 0
        return {name: row[name] for name in names}

    def reviews(self) -> list[dict[str, Any]]:
        """All review items, the oldest first."""
        reviews = guard_tables.GUARD_REVIEWS
        return self.rows(select(reviews).order_by(reviews.c.opened_at, reviews.c.review_id))

    def close(self) -> None:
        """End it."""
        self.writer.close()
        self.engine.dispose()


def open_store(url: str, clock: Clock | None) -> Store:
    """The store that a control database's URL asks for; by a test's clock, or by the database's own."""
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite":
        assert parts.database is not None
        return (
            SqliteStore(Path(parts.database)) if clock is None else SqliteStore(Path(parts.database), clock)
        )
    from billing_pipeline.guardrails.store.postgres_store import PostgresStore

    return PostgresStore(url, clock)


def made_reserve(key: str, amount: int | None = 75, **fields: object) -> Reserve:
    """A reserve of acme's project p, unless told otherwise."""
    default: dict[str, object] = {
        "customer_id": "acme",
        "project_id": "p",
        "amount": amount,
        "idempotency_key": key,
    }
    return Reserve(**(default | fields))  # type: ignore[arg-type]  # a test's own
