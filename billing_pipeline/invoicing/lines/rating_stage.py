"""Rated charges: what each customer's invoice period books, from the rollups and what was booked before.

A partition holds the customers whose invoice period ends on its day. A customer with usage that cannot be priced is
listed among the blocked invoices instead; nobody else is touched by that.
"""

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from functools import partial
from itertools import chain
from typing import NamedTuple

from billing_pipeline.contract.registry import Registry
from billing_pipeline.invoicing.lines.adjustment_reasons import Posting
from billing_pipeline.invoicing.lines.conflicts import unsettled_conflicts
from billing_pipeline.invoicing.lines.invoice_line import InvoiceLine
from billing_pipeline.invoicing.lines.invoice_periods import (
    InvoicePeriod,
    answers_from,
    customers_ending,
    invoice_periods,
)
from billing_pipeline.invoicing.lines.period_rating import (
    CustomerUsage,
    RatedInvoice,
    owed_periods,
    rate_invoice_period,
)
from billing_pipeline.invoicing.lines.rating_inputs import (
    SQL,
    Row,
    blocked_before,
    booked_ahead,
    booked_before,
    metered_usage,
    posted_kinds,
    rated_before,
    scan_between,
    unmetered_usage,
)
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.calendar import days_between
from billing_pipeline.metering.registry_relations import registry_until
from billing_pipeline.metering.stage import Draft, StageResult, Workshop, finish, scan
from billing_pipeline.rating.agreement import Agreement
from billing_pipeline.rating.holdings import Rules
from billing_pipeline.rating.periods import period_start
from billing_pipeline.rating.registered_agreement import agreement_of
from billing_pipeline.schemas.table import Column, ColumnType, PartitionKey
from billing_pipeline.schemas.tables import (
    BLOCKED_INVOICES,
    INVOICE_LINES,
    RATED_CHARGES,
    RATED_PERIODS,
    REGISTRY_CHANGES,
    UNMETERED_USAGE,
    USAGE_ROLLUPS,
)

INVOICED_COLUMNS = (Column("customer_id", ColumnType.TEXT, "whose period ends"),)


def rate(workshop: Workshop, days: Sequence[date], customers: Collection[str] | None = None) -> StageResult:
    """Make the partitions of rated charges and blocked invoices of some days, in their order.

    With `customers` only theirs, which is for a lake of one's own: a partition holds all whose period ends.

    A later period's adjustments need the earlier one's bookings, so a day that ends a period is committed before
    the next one is rated.
    """
    tables = (USAGE_ROLLUPS, UNMETERED_USAGE, REGISTRY_CHANGES)
    read = {table.name: workshop.lake.snapshot(table) for table in tables}
    result = StageResult((), read, {})
    drafts = _drafts(workshop)
    with workshop.engine.session() as session:
        for day in sorted(days):
            registry = registry_until(workshop, session, day)
            ending = customers_ending(registry, day)
            if customers is not None:
                ending = [each for each in ending if each in customers]
            made = _rate_day(workshop, session, day, registry, ending) if ending else _DayRows([], [], [])
            for draft, rows in zip(drafts, made, strict=True):
                draft.write_rows(session, rows, PartitionKey(day))
            if ending:
                result = result.then(finish(drafts, read))
                drafts = _drafts(workshop)
    return result.then(finish(drafts, read))


def list_invoice_lines(workshop: Workshop, days: Sequence[date]) -> StageResult:
    """Make the partitions of invoice lines of some days."""
    draft = Draft(workshop, INVOICE_LINES)
    read = {RATED_CHARGES.name: workshop.lake.snapshot(RATED_CHARGES)}
    with workshop.engine.session() as session:
        scan(workshop, session, "charges", RATED_CHARGES, days)
        session.define("invoice_lines", SQL / "invoice_lines.sql")
        for day in days:
            draft.write(session, "invoice_lines", PartitionKey(day), f"period_end_day = DATE '{day}'")
    return finish((draft,), read)


def _drafts(workshop: Workshop) -> tuple[Draft, Draft, Draft]:
    return Draft(workshop, RATED_CHARGES), Draft(workshop, RATED_PERIODS), Draft(workshop, BLOCKED_INVOICES)


class _DayRows(NamedTuple):
    """Rows of the three tables, for a day on which some customers' periods end."""

    charges: list[Row]
    periods: list[Row]
    blocked: list[Row]


def _rate_day(
    workshop: Workshop, session: Session, day: date, registry: Registry, ending: Sequence[str]
) -> _DayRows:
    rows, rules = _DayRows([], [], []), Rules(workshop.books)
    after = day + timedelta(days=1)
    held_back = blocked_before(workshop, session, day)
    ahead = booked_ahead(workshop, session, day)
    agreements = _Agreements(workshop, session, {day: registry})
    first = after
    owed: dict[str, set[date]] = {}
    for customer_id in ending:
        start, blocked = period_start(day, registry.anchor_day(customer_id)), held_back.get(customer_id, ())
        first = min(first, answers_from(start, blocked))
        agreement_at = partial(agreements.of, customer_id)
        owed[customer_id] = owed_periods(start, day, blocked, agreement_at, rules)
        owed[customer_id] |= {each for each in ahead.get(customer_id, ()) if each == start}
    _scan_usage(workshop, session, first, after)
    postings = session.rows((SQL / "postings.sql").read_text("utf-8"))
    periods = invoice_periods(registry, day, postings, held_back, owed)  # type: ignore[arg-type]  # rows as declared
    if not periods:
        return rows
    _scan_usage(
        workshop, session, min(chain.from_iterable(period.usage_periods for period in periods)), after
    )
    rated_as_of = rated_before(workshop, session, day)
    scan_between(workshop, session, "charged", RATED_CHARGES, between=(date.min, day))
    session.load("invoiced", INVOICED_COLUMNS, [(period.customer_id,) for period in periods])
    conflicts = unsettled_conflicts(workshop, session, days_between(first, day))
    usage, booked = metered_usage(session), booked_before(session)
    unmetered, posted = unmetered_usage(session), posted_kinds(session)
    for period in periods:
        customer_id = period.customer_id
        known = CustomerUsage(
            usage=usage.get(customer_id, ()),
            booked=booked.get(customer_id, {}),
            unmetered=unmetered.get(customer_id, ()),
            postings=[Posting(*row) for row in posted.get(customer_id, ())],
            blocked=held_back.get(customer_id, ()),
            conflicts=conflicts.get(customer_id, ()),
            rated_as_of=rated_as_of.get(customer_id, {}),
            agreement_at=partial(agreements.of, customer_id),
        )
        _add_rows(rows, period, rate_invoice_period(period, known, rules))
    return rows


def _scan_usage(workshop: Workshop, session: Session, first: date, after: date) -> None:
    for name, table in (("rollups", USAGE_ROLLUPS), ("unmetered", UNMETERED_USAGE)):
        scan_between(workshop, session, name, table, between=(first, after))


class _Agreements:
    """Customers' agreements as known at the close of days, each registry read once."""

    def __init__(self, workshop: Workshop, session: Session, registries: dict[date, Registry]) -> None:
        self._workshop = workshop
        self._session = session
        self._registries = registries
        self._agreements: dict[tuple[str, date], Agreement] = {}

    def of(self, customer_id: str, day: date) -> Agreement:
        found = self._agreements.get((customer_id, day))
        if found is None:
            registry = self._registries.get(day)
            if registry is None:
                registry = registry_until(self._workshop, self._session, day)
                self._registries[day] = registry
            found = self._agreements[customer_id, day] = agreement_of(registry, customer_id)
        return found


def _add_rows(rows: _DayRows, period: InvoicePeriod, rated: RatedInvoice) -> None:
    of_period = (period.end, period.start, period.customer_id)
    rows.blocked.extend((*of_period, fault.code, fault.usage_period, fault.message) for fault in rated.faults)
    rows.charges.extend(_charge_row(period, line) for line in rated.lines)
    for usage_period, day in sorted(rated.rated_as_of.items()):
        rerating = rated.reratings.get(usage_period)
        told = (rerating.rules, rerating.who, rerating.why) if rerating else (None, None, None)
        rows.periods.append((*of_period, usage_period, day, *told))


def _charge_row(period: InvoicePeriod, line: InvoiceLine) -> Row:
    key = line.key
    whole = line.amount_minor + line.booked_before_minor
    return (
        *(period.end, period.start, key.customer_id, key.project_id, key.plan, key.charge),
        *(key.component, key.term, key.meter, line.unit, key.dimensions, key.rule_version, key.usage_period),
        *(line.quantity, line.amount, whole, line.booked_before_minor, line.quantity_before, line.reason),
        *(line.rated_as_of, key.currency, line.line_id, line.evidence_digest),
        *(line.rollup_partitions, line.description, line.tiers),
    )
