"""Ledger against meter, by customer and usage day: reads the guard's holds and the lake, and writes the differences."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Engine

from billing_pipeline.audit.guard_day import GuardDay, guard_day, guarded_accounts
from billing_pipeline.audit.priced_day import PricedDay
from billing_pipeline.audit.rated_days import KnownAgreements, rated_day
from billing_pipeline.contract.registry import Registry
from billing_pipeline.guardrails.customers.customer_days import CustomerDays
from billing_pipeline.guardrails.policies.policy import Policies
from billing_pipeline.guardrails.pricing.usage_pricer import UsagePricer
from billing_pipeline.guardrails.reconciliation.day import (
    DayReconciliation,
    HoldFigures,
    LogFigures,
    RatedFigures,
    reconcile_day,
)
from billing_pipeline.invoicing.lines.rating_inputs import metered_usage
from billing_pipeline.invoicing.lines.rating_stage import INVOICED_COLUMNS
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.calendar import start_of
from billing_pipeline.metering.marginal_rollups import USAGE_DAY_COLUMNS
from billing_pipeline.metering.stage import Draft, StageResult, Workshop, finish
from billing_pipeline.rating.charges import MeteredQuantity
from billing_pipeline.rating.holdings import Rules
from billing_pipeline.schemas.table import Column, ColumnType, PartitionKey, Table
from billing_pipeline.schemas.tables import (
    LEDGER_RECONCILIATION,
    UNIQUE_USAGE_EVENTS,
    USAGE_CORRECTIONS,
    USAGE_ROLLUPS,
)

SQL = Path(__file__).parent / "sql"
GUARD_EVENT_COLUMNS = (
    Column("source", ColumnType.TEXT, "of an event that the guard sent"),
    Column("id", ColumnType.TEXT, "of the same"),
)


class ReconciledDay(NamedTuple):
    """One row of `ledger_reconciliation`."""

    usage_day: date
    customer_id: str
    currency: str
    figures: DayReconciliation

    @property
    def values(self) -> tuple[object, ...]:
        """In the order of the table's columns."""
        figures = self.figures
        return (
            *(self.usage_day, self.customer_id, self.currency),
            *(figures.settled, figures.rated, figures.difference, *figures.causes.values()),
            *(figures.overrun, figures.overdraft, figures.holds, figures.events),
        )


class Reconciler:
    """Reconciles usage days of one company."""

    def __init__(self, workshop: Workshop, control: Engine, policies: Policies) -> None:
        self._workshop = workshop
        self._control = control
        self._policies = policies

    def write(self, days: Sequence[date]) -> StageResult:
        """Make the partitions of some usage days."""
        tables = (UNIQUE_USAGE_EVENTS, USAGE_CORRECTIONS, USAGE_ROLLUPS)
        read = {table.name: self._workshop.lake.snapshot(table) for table in tables}
        draft = Draft(self._workshop, LEDGER_RECONCILIATION)
        rows: dict[date, list[ReconciledDay]] = {day: [] for day in days}
        for row in self.rows(days):
            rows[row.usage_day].append(row)
        with self._workshop.engine.session() as session:
            for day in days:
                draft.write_rows(session, [row.values for row in rows[day]], PartitionKey(day))
        return finish((draft,), read)

    def rows(self, days: Sequence[date], customer_id: str | None = None) -> Iterator[ReconciledDay]:
        """The rows of some usage days as they come to now, of all customers or of one; nothing is written."""
        accounts = [each for each in guarded_accounts(self._control) if customer_id in {None, each[0]}]
        if not accounts:
            return
        with self._workshop.engine.session() as session:
            agreements = KnownAgreements(self._workshop, session)
            rules = Rules(self._workshop.books)
            pricer = UsagePricer(_AsKnownNow(agreements.now, rules), rules, self._policies)
            for day in days:
                yield from self._day(session, day, accounts, agreements, pricer)

    def _day(
        self,
        session: Session,
        day: date,
        accounts: Sequence[tuple[str, str]],
        agreements: KnownAgreements,
        pricer: UsagePricer,
    ) -> Iterator[ReconciledDay]:
        """None where nothing was held, used or rated."""
        rules = Rules(self._workshop.books)
        customers = sorted({customer_id for customer_id, _ in accounts})
        session.load("invoiced", INVOICED_COLUMNS, [(customer_id,) for customer_id in customers])
        guarded = guard_day(self._control, day)
        counted = _scan_events(self._workshop, session, day, guarded)
        priced = PricedDay(day, self._workshop.books, pricer)
        holds = priced.holds(guarded, counted)
        log = priced.log(session.rows((SQL / "day_events.sql").read_text("utf-8")))
        usage = _usage_of_periods(self._workshop, session, agreements, customers, day)
        currencies = dict(accounts)
        for customer_id in sorted({*holds, *log, *usage} & currencies.keys()):
            rated = rated_day(agreements.of(customer_id, day), day, usage.get(customer_id, ()), rules)
            held = holds.get(customer_id, {})
            # A day has one currency, that of the plan; where nothing was rated, that of its holds or of the account.
            main = next(iter([*rated, *held, currencies[customer_id]]))
            for currency in sorted({main, *rated, *held}):
                figures = reconcile_day(
                    held.get(currency, HoldFigures()),
                    log.get(customer_id, LogFigures()) if currency == main else LogFigures(),
                    rated.get(currency, RatedFigures()),
                )
                if figures.holds or figures.events or figures.rated:
                    yield ReconciledDay(day, customer_id, currency, figures)


class _AsKnownNow:
    """The customers of one registry, for the guard's pricer."""

    def __init__(self, registry: Registry, rules: Rules) -> None:
        self.days = CustomerDays(registry, rules)

    def look_again(self) -> None:
        """There is nothing newer."""


def _scan_events(workshop: Workshop, session: Session, day: date, guarded: GuardDay) -> set[tuple[str, str]]:
    """Name the relations of a usage day; returns the identities of the guard's events that the log counts."""
    first = day - timedelta(days=workshop.calendar.lookback_days() + 1)
    for name, table in (("unique_events", UNIQUE_USAGE_EVENTS), ("corrections", USAGE_CORRECTIONS)):
        session.scan(name, table, _paths_from(workshop, table, first))
    mine = {(event.source, event.id) for events in guarded.sent.values() for event in events}
    session.load("guard_events", GUARD_EVENT_COLUMNS, sorted(mine | guarded.near))
    session.load("usage_days", USAGE_DAY_COLUMNS, [(day, start_of(day))])
    rows: list[tuple[Any, ...]] = session.rows(
        "SELECT DISTINCT g.source, g.id FROM guard_events AS g "
        "INNER JOIN unique_events AS e ON e.source = g.source AND e.id = g.id"
    )
    return {(source, event_id) for source, event_id in rows}


def _usage_of_periods(
    workshop: Workshop, session: Session, agreements: KnownAgreements, customers: Sequence[str], day: date
) -> dict[str, list[MeteredQuantity]]:
    """By customer with usage on a day its period's usage up to the day, whenever it was posted."""
    starts = {customer_id: agreements.period_of(customer_id, day) for customer_id in customers}
    session.scan("rollups", USAGE_ROLLUPS, _paths_from(workshop, USAGE_ROLLUPS, min(starts.values())))
    active = session.rows(
        "SELECT DISTINCT r.customer_id FROM rollups AS r INNER JOIN invoiced AS i ON r.customer_id = i.customer_id "
        f"WHERE r.usage_day = DATE '{day}'"
    )
    session.load("invoiced", INVOICED_COLUMNS, active)
    return {
        customer_id: [row for row in rows if starts[customer_id] <= row.usage_day <= day]
        for customer_id, rows in metered_usage(session).items()
    }


def _paths_from(workshop: Workshop, table: Table, first: date) -> list[str]:
    return [file.path for file in workshop.lake.files(table) if file.key.day >= first]
