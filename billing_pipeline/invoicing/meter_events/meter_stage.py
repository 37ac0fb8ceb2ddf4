"""The meter events of posting days, from the rollups to the outbox.

A day is planned once its records can no longer change, after the days of the running periods before it.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select

from billing_pipeline.contract.registry import Registry
from billing_pipeline.control.invoice_tables import STRIPE_DELIVERIES
from billing_pipeline.control.partition_records import closed_days
from billing_pipeline.invoicing.meter_events.deciding import PlanPeriod, Recorded, delivery_of
from billing_pipeline.invoicing.meter_events.meter_outbox import MeterOutbox
from billing_pipeline.invoicing.meter_events.planned_events import (
    KnownUsage,
    PlannedMeterEvent,
    Takers,
    UsageRow,
    plan_meter_events,
    plans_used,
)
from billing_pipeline.invoicing.policies.policy import Delivery, InvoicingPolicies
from billing_pipeline.invoicing.push.delivery_records import record_deliveries, recorded_deliveries
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.registry_relations import registry_until
from billing_pipeline.metering.stage import Workshop
from billing_pipeline.rating.agreement import Agreement
from billing_pipeline.rating.holdings import Holdings, Rules
from billing_pipeline.rating.periods import period_start
from billing_pipeline.rating.registered_agreement import agreement_of
from billing_pipeline.schemas.table import Column, ColumnType
from billing_pipeline.schemas.tables import USAGE_ROLLUPS

METER_EVENTS = "stripe_meter_events"
"""The name under which it is kept which days have been planned; nothing in the lake bears it."""
LONGEST_PERIOD_DAYS = 62
"""Longer than any invoice period, a stub's added."""
SQL = Path(__file__).parent / "sql"
ONE_DAY = timedelta(days=1)
_DUE_COLUMNS = (
    Column("customer_id", ColumnType.TEXT, "whose period runs"),
    Column("period_start", ColumnType.DAY, "its first day"),
    Column("is_whole", ColumnType.FLAG, "whether all usage days are wanted"),
)
_TODAY_COLUMNS = (Column("posting_day", ColumnType.DAY, "the day that is planned"),)


def anything_metered(control: Engine, policies: InvoicingPolicies, days: Sequence[date]) -> bool:
    """Whether a plan delivers meter events, or has begun a period with them that may still run on one of the days."""
    if any(policy.delivery == "meter_events" for policy in policies.by_plan.values()):
        return True
    table = STRIPE_DELIVERIES
    since = min(days) - timedelta(days=LONGEST_PERIOD_DAYS)
    query = (
        select(table.c.plan)
        .where(table.c.delivery == "meter_events", table.c.billing_period >= since.isoformat())
        .limit(1)
    )
    with control.connect() as connection:
        return connection.execute(query).first() is not None


def days_to_plan(control: Engine, days: Sequence[date], now_us: int) -> list[date]:
    """The days, after those before them that were closed and not planned yet, as long as Stripe takes their events."""
    first, last = min(days), max(days)
    today = date(1970, 1, 1) + timedelta(days=now_us // 86_400_000_000)
    oldest = max(first - timedelta(days=LONGEST_PERIOD_DAYS), today - timedelta(days=36))
    rolled_up = {day for day in closed_days(control, USAGE_ROLLUPS.name) if oldest <= day < last}
    return sorted({*days, *(rolled_up - closed_days(control, METER_EVENTS))})


@dataclass(frozen=True)
class MeterStage:
    """Plans the meter events of posting days into an outbox.

    Attributes:
        policies: as they are now.
        clock: UTC µs.
    """

    workshop: Workshop
    outbox: MeterOutbox
    policies: InvoicingPolicies
    clock: Callable[[], int]

    def plan(self, days: Sequence[date]) -> dict[date, list[PlannedMeterEvent]]:
        """Plan some days in their order; the events of each, whether they are new or were planned before.

        Raises:
            MeterEventChangedError: a day would tell something else than it has.
        """
        takers, rules = Takers(Rules(self.workshop.books)), Rules(self.workshop.books)
        planned_days = closed_days(self.outbox.engine, METER_EVENTS)
        found: dict[date, list[PlannedMeterEvent]] = {}
        with self.workshop.engine.session() as session:
            for day in sorted(days):
                with self.outbox.engine.connect() as connection:
                    periods = [day - timedelta(days=back) for back in range(LONGEST_PERIOD_DAYS)]
                    recorded = Recorded(
                        deliveries=recorded_deliveries(connection, self.outbox.account, periods),
                        planned_days=planned_days,
                    )
                known = list(_KnownUsages(self, session, day, rules, recorded).read())
                deliveries = self._decide(day, known, takers, recorded)
                events = [
                    event
                    for each in known
                    for event in plan_meter_events(each, takers, _is_metered(each, deliveries))
                ]
                self.outbox.plan(events)
                found[day] = events
        return found

    def may_be_metered(self, plan: str, customer_id: str, period: date, recorded: Recorded) -> bool:
        """Whether a plan's period is, or may come to be, delivered as meter events."""
        found = recorded.deliveries.get((customer_id, plan, period))
        return (found or self.policies.of(plan).delivery) == "meter_events"

    def _decide(
        self, day: date, known: Sequence[KnownUsage], takers: Takers, recorded: Recorded
    ) -> dict[PlanPeriod, Delivery]:
        wanted: dict[PlanPeriod, Delivery] = {}
        for each in known:
            for plan, used_before in plans_used(each, takers).items():
                key = (each.customer_id, plan, each.billing_period)
                if not self.may_be_metered(plan, each.customer_id, each.billing_period, recorded):
                    continue
                wanted[key] = delivery_of(
                    key,
                    day,
                    used_before=used_before,
                    policies=self.policies,
                    recorded=recorded,
                    now_us=self.clock(),
                )
        # Where another process was first (a push of this period, say), what that one put on record counts.
        return record_deliveries(self.outbox.engine, self.outbox.account, wanted, self.clock)


def _is_metered(known: KnownUsage, deliveries: dict[PlanPeriod, Delivery]) -> Callable[[str], bool]:
    def answer(plan: str) -> bool:
        return deliveries.get((known.customer_id, plan, known.billing_period)) == "meter_events"

    return answer


@dataclass(frozen=True)
class _KnownUsages:
    """What is known of the customers whom a posting day may have events of."""

    stage: MeterStage
    session: Session
    day: date
    rules: Rules
    recorded: Recorded

    def read(self) -> Iterator[KnownUsage]:
        """One per customer, in their order."""
        workshop, day = self.stage.workshop, self.day
        before = registry_until(workshop, self.session, day - ONE_DAY)
        now = registry_until(workshop, self.session, day)
        changed = _changed(before, now)
        self._scan(day, day)
        posted: list[Any] = [row[0] for row in self.session.rows("SELECT DISTINCT customer_id FROM rollups")]
        due: dict[str, tuple[date, Agreement, Agreement]] = {}
        rows = []
        for customer_id in sorted({*posted, *changed}):
            agreement = agreement_of(now, customer_id)
            known_before = agreement_of(before, customer_id) if customer_id in changed else agreement
            start = period_start(day, now.anchor_day(customer_id))
            if customer_id in posted or agreement != known_before:
                undecided = self._undecided(customer_id, start, (agreement, known_before))
                if undecided is None:
                    continue
                due[customer_id] = (start, known_before, agreement)
                rows.append((customer_id, start, undecided or agreement != known_before))
        if not due:
            return
        self._scan(min(start for start, _, _ in due.values()), day)
        self.session.load("due", _DUE_COLUMNS, rows)
        self.session.load("today", _TODAY_COLUMNS, [(day,)])
        self.session.define("period_usage", SQL / "period_usage.sql")
        usage: list[tuple[Any, ...]] = [
            row
            for chunk in self.session.chunks(
                "SELECT * FROM period_usage ORDER BY customer_id, usage_day, meter"
            )
            for row in chunk
        ]
        for customer_id, group in groupby(usage, itemgetter(0)):
            start, known_before, agreement = due[customer_id]
            yield KnownUsage(
                customer_id=customer_id,
                billing_period=start,
                posting_day=day,
                rows=[UsageRow(*row[1:]) for row in group],
                before=Holdings(known_before, self.rules),
                now=Holdings(agreement, self.rules),
            )

    def _undecided(self, customer_id: str, start: date, agreements: Collection[Agreement]) -> bool | None:
        """Whether the period's delivery is still to be decided for a plan; None where nothing can be metered."""
        names = {
            each.name
            for agreement in agreements
            for each in (*agreement.assignments, *agreement.add_ons)
            if each.name
        }
        metered = [
            name for name in names if self.stage.may_be_metered(name, customer_id, start, self.recorded)
        ]
        if not metered:
            return None
        return any((customer_id, name, start) not in self.recorded.deliveries for name in metered)

    def _scan(self, first: date, last: date) -> None:
        files = self.stage.workshop.lake.files(USAGE_ROLLUPS)
        paths = [file.path for file in files if first <= file.key.day <= last]
        self.session.scan("rollups", USAGE_ROLLUPS, paths)


def _changed(before: Registry, now: Registry) -> set[str]:
    """The customers whose agreement a day's changes may have changed."""
    new = now.changes[len(before.changes) :]
    if any(change.entity == "plan_override" for change in new):
        return set(now.known_customers())
    return {change.entity_id.partition("/")[0] for change in new if change.entity != "project"}
