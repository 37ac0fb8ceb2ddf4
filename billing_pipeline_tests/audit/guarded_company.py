"""A company whose products ask the guard first: holds are settled, their events land, days are metered."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text

from billing_pipeline.audit.ledger_reconciliation import ReconciledDay, Reconciler
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.parsing import parse
from billing_pipeline.contract.registry import Registry, RegistryChange
from billing_pipeline.control.database import writing
from billing_pipeline.guardrails.commands import AddGrant, Done
from billing_pipeline.guardrails.customers.customer_days import CustomerDays
from billing_pipeline.guardrails.ledger_writer import LedgerWriter
from billing_pipeline.guardrails.pricing.usage_pricer import UsagePricer
from billing_pipeline.guardrails.requests import Settle
from billing_pipeline.guardrails.store.sqlite_store import SqliteStore
from billing_pipeline.guardrails.usage import Usage
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.holdings import Rules
from billing_pipeline_tests.guardrails.made_ledger import Clock, TermsByCustomer, made_reserve, made_terms

Entry = tuple[str, LogRecord]
DAY_US = 86_400_000_000
START_US = 1_790_812_800_000_000  # 2026-10-01T00:00:00Z


class OneRegistry:
    """Customers acme and beta, both with project p, on one plan; as the log has them."""

    def __init__(self, pipeline: Pipeline, plan: str) -> None:
        self.rules = Rules(pipeline.books)
        since = date(2026, 1, 1)
        changes = [
            change
            for name in ("acme", "beta")
            for change in (
                RegistryChange("customer", name, "register", since),
                RegistryChange("project", f"{name}/p", "register", since),
                RegistryChange("plan_assignment", name, "assign", since, {"plan": plan}),
            )
        ]
        self.days = CustomerDays(Registry(changes), self.rules)

    def look_again(self) -> None:
        """Nobody else comes."""


def tokens(quantity: int, **identity: str) -> Usage:
    """Output tokens of atlas-large, 12 dollars a million from 16 October on, 15 before."""
    dimensions = {"model": "atlas-large", "token_class": "output"}
    return Usage(unit="token", quantity=str(quantity), dimensions=dimensions, **identity)


def calls(quantity: int) -> Usage:
    """Calls of a tool, in tiers under the plan growth."""
    return Usage(unit="call", quantity=str(quantity), dimensions={"tool": "web_search"})


class GuardedCompany:
    """A pipeline with its guard, by a clock that the test sets."""

    def __init__(self, pipeline: Pipeline, plan: str = "growth") -> None:
        self.pipeline = pipeline
        self.clock = Clock(START_US)
        self.terms = TermsByCustomer(
            made_terms(plan=plan, period_starts_at=START_US, period_ends_at=START_US + 31 * DAY_US)
        )
        control = pipeline.control  # migrated
        self._control = control
        store = SqliteStore(Path(str(control.url.database)), self.clock)
        customers = OneRegistry(pipeline, plan)
        pricer = UsagePricer(customers, customers.rules, pipeline.guard_policies)
        self.writer = LedgerWriter(store, self.terms, pricer, sweep_seconds=3600)
        self._keys = iter(range(10**6))

    def close(self) -> None:
        """End the ledger."""
        self.writer.close()

    def at(self, text: str) -> "GuardedCompany":
        """Set the clock: `10-20T12:00` of 2026, UTC."""
        moment = datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC)
        self.clock.at_us = int(moment.timestamp()) * 1_000_000
        return self

    def ask(self, request: Any) -> Any:
        """What the ledger answers."""
        return self.writer.submit(request).result(30)

    def grant(self, amount_major: int, customer_id: str = "acme", grant_id: str = "g") -> Done:
        """Prepaid credit, in whole dollars."""
        done: Done = self.ask(
            AddGrant(customer_id=customer_id, currency="usd", grant_id=grant_id, amount=amount_major * 10**9)
        )
        return done

    def settled(self, *usage: Usage, amount: int | None = None, customer_id: str = "acme") -> int:
        """Hold a dollar, and settle it at usage or an amount; what was booked."""
        booked: int = self.ask(Settle(hold_id=self.held(customer_id), usage=usage, amount=amount)).booked
        return booked

    def held(self, customer_id: str = "acme") -> str:
        """A hold of a dollar."""
        hold_id: str = self.ask(made_reserve(f"k{next(self._keys)}", 10**9, customer_id=customer_id)).hold_id
        return hold_id

    def sent(self) -> list[LogRecord]:
        """What waits in the outbox, as the log takes it; it waits no more."""
        with writing(self._control) as connection:
            rows = connection.execute(
                text("SELECT payload FROM guard_outbox WHERE sent_at IS NULL ORDER BY id")
            ).all()
            connection.execute(text("UPDATE guard_outbox SET sent_at = 1 WHERE sent_at IS NULL"))
        return [parse(payload.encode()) for (payload,) in rows]

    def reconciled(self, *days: str) -> dict[str, dict[str, int]]:
        """By day and customer (`20 acme`) what differs, without causes that are 0."""
        found = {}
        for row in self.rows(*days):
            causes = {cause: amount for cause, amount in row.figures.causes.items() if amount}
            assert sum(causes.values()) == row.figures.difference
            found[f"{row.usage_day.day} {row.customer_id}"] = causes
        return found

    def rows(self, *days: str) -> list[ReconciledDay]:
        """The rows of some days of October 2026, as they come to now."""
        chosen = [date.fromisoformat(f"2026-10-{day}") for day in days]
        return list(
            Reconciler(self.pipeline.workshop, self._control, self.pipeline.guard_policies).rows(chosen)
        )
