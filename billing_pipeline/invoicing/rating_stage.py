"""Rated charges: what each customer's invoice period books, from the rollups and what was booked before.

A partition holds the customers whose invoice period ends on its day. A customer with usage that cannot be priced is
listed among the blocked invoices instead; nobody else is touched by that.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from itertools import chain
from typing import NamedTuple

from billing_pipeline.contract.registry import Registry
from billing_pipeline.invoicing.conflicts import Conflict, unsettled_conflicts
from billing_pipeline.invoicing.evidence import EvidenceKey, usage_evidence
from billing_pipeline.invoicing.invoice_periods import (
    BlockedPeriod,
    InvoicePeriod,
    answers_from,
    customers_ending,
    invoice_periods,
)
from billing_pipeline.invoicing.lines import InvoiceLine, invoice_lines
from billing_pipeline.invoicing.rating_inputs import (
    SQL,
    Row,
    blocked_before,
    booked_before,
    first_postings,
    metered_usage,
    scan_between,
    unmetered_usage,
)
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.calendar import days_between
from billing_pipeline.metering.registry_relations import registry_until
from billing_pipeline.metering.stage import Draft, StageResult, Workshop, finish, scan
from billing_pipeline.rating.adjustments import rate_invoice
from billing_pipeline.rating.agreement import agreement_of
from billing_pipeline.rating.charges import LineKey, MeteredQuantity
from billing_pipeline.rating.periods import period_start
from billing_pipeline.schemas.table import Column, ColumnType, PartitionKey
from billing_pipeline.schemas.tables import (
    BLOCKED_INVOICES,
    INVOICE_LINES,
    RATED_CHARGES,
    REGISTRY_CHANGES,
    UNMETERED_USAGE,
    USAGE_ROLLUPS,
)

INVOICED_COLUMNS = (Column("customer_id", ColumnType.TEXT, "whose period ends"),)


class _HeldBack(NamedTuple):
    """By customer: invoice periods that were blocked before, and conflicts that nobody has settled."""

    periods: Mapping[str, Sequence[BlockedPeriod]]
    conflicts: Mapping[str, Sequence[Conflict]]


def rate(workshop: Workshop, days: Sequence[date]) -> StageResult:
    """Make the partitions of rated charges and blocked invoices of some days, in their order.

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
            rated, blocked = _rate_day(workshop, session, day, registry, ending) if ending else ([], [])
            drafts[0].write_rows(session, rated, PartitionKey(day))
            drafts[1].write_rows(session, blocked, PartitionKey(day))
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


def _drafts(workshop: Workshop) -> tuple[Draft, Draft]:
    return Draft(workshop, RATED_CHARGES), Draft(workshop, BLOCKED_INVOICES)


def _rate_day(
    workshop: Workshop, session: Session, day: date, registry: Registry, ending: Sequence[str]
) -> tuple[list[Row], list[Row]]:
    """Rows of rated charges and of blocked invoices of a day on which some customers' periods end."""
    after = day + timedelta(days=1)
    held_back = blocked_before(workshop, session, day)
    first = min(
        answers_from(period_start(day, registry.anchor_day(customer_id)), held_back.get(customer_id, ()))
        for customer_id in ending
    )
    for name, table in (("rollups", USAGE_ROLLUPS), ("unmetered", UNMETERED_USAGE)):
        scan_between(workshop, session, name, table, between=(first, after))
    postings = session.rows((SQL / "postings.sql").read_text("utf-8"))
    periods = invoice_periods(registry, day, postings, held_back)  # type: ignore[arg-type]  # rows as declared
    if not periods:
        return [], []
    earliest = min(chain.from_iterable(period.usage_periods for period in periods))
    for name, table in (("rollups", USAGE_ROLLUPS), ("unmetered", UNMETERED_USAGE)):
        scan_between(workshop, session, name, table, between=(earliest, after))
    scan_between(workshop, session, "charged", RATED_CHARGES, between=(date.min, day))
    session.load("invoiced", INVOICED_COLUMNS, [(period.customer_id,) for period in periods])
    conflicts = unsettled_conflicts(workshop, session, days_between(first, day))
    return _rate_periods(workshop, session, periods, _HeldBack(held_back, conflicts), {day: registry})


def _rate_periods(
    workshop: Workshop,
    session: Session,
    periods: Sequence[InvoicePeriod],
    held_back: "_HeldBack",
    registries: dict[date, Registry],
) -> tuple[list[Row], list[Row]]:
    usage = metered_usage(session)
    booked = booked_before(session)
    unmetered = unmetered_usage(session)
    posted_first = first_postings(session)

    @cache
    def known_at(end: date) -> Registry:
        return registries.get(end) or registry_until(workshop, session, end)

    rated: list[Row] = []
    blocked: list[Row] = []
    for period in periods:
        mine_before = held_back.periods.get(period.customer_id, ())
        as_of = _rated_as_of(period, posted_first.get(period.customer_id, ()), mine_before)

        def plan_in_force(
            usage_day: date, period: InvoicePeriod = period, as_of: Mapping[date, date] = as_of
        ) -> str | None:
            # What was known at the first invoice that could rate the usage period decides its plan, now and in
            # every later adjustment; changes entered after that need a re-rating.
            known = known_at(as_of[period.usage_period(usage_day)])
            return agreement_of(known, period.customer_id).plan_on(usage_day)

        quantities = _by_usage_period(period, usage.get(period.customer_id, []))
        mine = booked.get(period.customer_id, {})
        rating = rate_invoice(period.customer_id, quantities, mine, workshop.books, plan_in_force)
        faults = [("unpriced_usage", each.usage_period, each.message) for each in rating.unpriced]
        faults += [
            ("unmetered_usage", period.usage_period(row[1]), _unmetered_message(row))
            for row in unmetered.get(period.customer_id, [])
            if period.usage_period(row[1]) in period.usage_periods
        ]
        answers_for = answers_from(period.start, mine_before)
        faults += [
            ("conflict", period.usage_period(conflict.usage_day), conflict.message)
            for conflict in held_back.conflicts.get(period.customer_id, ())
            if conflict.receipt_day >= answers_for
        ]
        if faults:
            blocked += [
                (period.end, period.start, period.customer_id, code, usage_period, message)
                for code, usage_period, message in sorted(faults)
            ]
            continue
        proofs = {start: usage_evidence(rows, plan_in_force) for start, rows in quantities.items()}

        def evidence(key: LineKey, proofs: Mapping[date, Mapping[EvidenceKey, str]] = proofs) -> str:
            return proofs.get(key.usage_period, {}).get(EvidenceKey.of(key), "")

        lines = invoice_lines(period.start, rating.bookings, workshop.books, evidence)
        rated += [_charge_row(period, line) for line in lines]
    return rated, blocked


def _rated_as_of(
    period: InvoicePeriod, first_postings: Sequence[Row], blocked: Sequence[BlockedPeriod]
) -> dict[date, date]:
    """For each usage period with usage the day whose knowledge rates it."""
    found: dict[date, date] = {}
    for _, usage_day, posting_day in first_postings:
        usage_period = period.usage_period(usage_day)
        found[usage_period] = min(posting_day, found.get(usage_period, posting_day))
    return {usage_period: period.rated_as_of(first, blocked) for usage_period, first in found.items()}


def _unmetered_message(row: Row) -> str:
    _, usage_day, project_id, unit, dimensions, rule_version, quantity = row
    return (
        f"{quantity:f} {unit} of project {project_id} on {usage_day} {dimensions} is taken by no meter of rule version "
        f"{rule_version}; add a meter that takes it"
    )


def _by_usage_period(
    period: InvoicePeriod, rows: Sequence[MeteredQuantity]
) -> dict[date, list[MeteredQuantity]]:
    found: dict[date, list[MeteredQuantity]] = {start: [] for start in period.usage_periods}
    for row in rows:
        start = period.usage_period(row.usage_day)
        if start in found:
            found[start].append(row)
    return found


def _charge_row(period: InvoicePeriod, line: InvoiceLine) -> Row:
    key = line.key
    whole = line.amount_minor + line.booked_before_minor
    return (
        *(
            period.end,
            period.start,
            key.customer_id,
            key.project_id,
            key.plan,
            key.charge,
            key.meter,
            line.unit,
        ),
        *(key.dimensions, key.rule_version, key.usage_period, line.quantity, line.amount, whole),
        *(
            line.booked_before_minor,
            key.currency,
            line.line_id,
            line.evidence_digest,
            line.description,
            line.tiers,
        ),
    )
