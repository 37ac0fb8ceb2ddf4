"""Bills a past usage period under a draft rule book, beside what was billed. Reads only; nothing is kept or invoiced.

The rating code is the one that makes invoices. The usage is that of the rollups, as known now, so a draft may change
any price, plan or term, but not what a meter counts.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from billing_pipeline.audit.report import Progress
from billing_pipeline.errors import SimulationError
from billing_pipeline.invoicing.rating_inputs import booked_before, metered_usage, scan_between
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.registry_relations import registry_of_log
from billing_pipeline.metering.stage import Workshop
from billing_pipeline.rating.adjustments import Booked
from billing_pipeline.rating.agreement import Agreement, agreement_of
from billing_pipeline.rating.charges import INVOICE_COMPONENTS, Component, LineKey, MeteredQuantity
from billing_pipeline.rating.holdings import Rules
from billing_pipeline.rating.periods import period_end, period_start
from billing_pipeline.rating.rate import rate_period
from billing_pipeline.rating.rule_book import RuleBook, RuleBooks
from billing_pipeline.schemas.table import Column, ColumnType
from billing_pipeline.schemas.tables import RATED_CHARGES, RATED_PERIODS, USAGE_ROLLUPS

CUSTOMERS = (Column("customer_id", ColumnType.TEXT, "whose period is billed again"),)
_NEVER_IN_FORCE = datetime(9999, 1, 1, tzinfo=UTC)


class Amount(NamedTuple):
    """One kind of line of one customer: what was billed for the usage period by now, and what would be."""

    customer_id: str
    currency: str
    charge: str
    meter: str
    component: Component
    billed_minor: int
    simulated_minor: int


class Simulation(NamedTuple):
    """A period billed again.

    Attributes:
        amounts: by customer, currency, charge and component, of customers that both were billed and could be priced.
        blocked: customer and reason, where the draft has no price for usage.
        not_billed: customers with usage in the period that no invoice has rated yet.
        new_meters: meters of the draft that have counted nothing, for no version in force has them.
    """

    draft: str
    period: date
    amounts: tuple[Amount, ...]
    blocked: tuple[tuple[str, str], ...]
    not_billed: tuple[str, ...]
    new_meters: tuple[str, ...]


def simulate(
    workshop: Workshop,
    draft: RuleBook,
    month: date,
    customers: Collection[str] = (),
    told: Progress = lambda _what, _done, _of: None,
) -> Simulation:
    """Bill the usage period that starts within a month again, for some customers or (none named) for all.

    Args:
        workshop: lake, engine and rules.
        draft: in force for the whole period, whatever its `effective_from`.
        month: the first day of the month; a customer's period is the one of its anchor day that starts within it.
        customers: their ids.
        told: what is done, how many customers of how many.

    Raises:
        SimulationError: a meter of the draft counts something else than that of a version in force, or a customer is
            unknown, or nobody was billed for the period.
    """
    new_meters = _refuse_other_meters(workshop.books, draft)
    drafted = replace(draft, version=f"draft of {draft.version}", effective_from=_NEVER_IN_FORCE)
    rules = Rules(RuleBooks((*workshop.books, drafted)), drafted.version)
    with workshop.engine.session() as session:
        agreements = _agreements(workshop, session, customers)
        periods = {each.customer_id: _period_within(month, each.anchor_day) for each in agreements}
        usage, booked, rated = _read(workshop, session, periods)
    amounts: list[Amount] = []
    blocked: list[tuple[str, str]] = []
    not_billed: list[str] = []
    for done, agreement in enumerate(agreements, start=1):
        customer_id = agreement.customer_id
        start = periods[customer_id]
        rows = _within(usage.get(customer_id, ()), start, period_end(start, agreement.anchor_day))
        if (customer_id, start) not in rated:
            not_billed += [customer_id] if rows else []
            continue
        simulated = rate_period(agreement, start, rows, rules)
        if simulated.unpriced:
            blocked += [(customer_id, each.message) for each in simulated.unpriced]
            continue
        billed = {
            key: before.amount_minor
            for key, before in booked.get(customer_id, {}).items()
            if key.usage_period == start and key.component not in INVOICE_COMPONENTS
        }
        amounts += _compared(billed, {each.key: each.amount_minor for each in simulated.charges})
        told("billing again", done, len(agreements))
    if not amounts and not blocked:
        raise SimulationError(
            f"nobody was billed for a usage period that starts in {month:%Y-%m}; give a period that has been closed"
        )
    return Simulation(
        draft.version, month, tuple(amounts), tuple(blocked), tuple(not_billed), tuple(new_meters)
    )


def _refuse_other_meters(books: RuleBooks, draft: RuleBook) -> list[str]:
    """The meters that only the draft has.

    Raises:
        SimulationError: one counts something else than the meter of that name in a version.
    """
    known = {(name, book.version): meter for book in books for name, meter in book.meters.items()}
    for (name, version), meter in known.items():
        mine = draft.meters.get(name)
        if mine is not None and mine != meter:
            raise SimulationError(
                f"meter {name} of the draft counts something else than in version {version}; what it would have "
                "counted is not in the rollups: keep the meter as it is, or give the new one another name"
            )
    return sorted(draft.meters.keys() - {name for name, _ in known})


def _agreements(workshop: Workshop, session: Session, customers: Collection[str]) -> list[Agreement]:
    registry = registry_of_log(workshop, session)
    known = registry.known_customers()
    unknown = sorted(set(customers) - set(known))
    if unknown:
        raise SimulationError(
            f"customer {unknown[0]!r} is unknown; known are {', '.join(known[:20]) or 'none'}"
        )
    return [agreement_of(registry, customer_id) for customer_id in sorted(customers or known)]


def _period_within(month: date, anchor_day: int) -> date:
    last = (month.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    return period_start(last, anchor_day)


_Usage = dict[str, list[MeteredQuantity]]
_Booked = dict[str, dict[LineKey, Booked]]


def _read(
    workshop: Workshop, session: Session, periods: dict[str, date]
) -> tuple[_Usage, _Booked, set[tuple[str, date]]]:
    """Usage and bookings as known now, and which usage periods an invoice has rated."""
    session.load("invoiced", CUSTOMERS, [(customer_id,) for customer_id in periods])
    first = min(periods.values())
    scan_between(workshop, session, "rollups", USAGE_ROLLUPS, between=(first, date.max))
    scan_between(workshop, session, "charged", RATED_CHARGES, between=(date.min, date.max))
    scan_between(workshop, session, "rated_periods", RATED_PERIODS, between=(date.min, date.max))
    usage, booked = metered_usage(session), booked_before(session)
    rows: list[Any] = session.rows("SELECT DISTINCT customer_id, usage_period FROM rated_periods")
    return usage, booked, set(rows)


def _within(rows: Iterable[MeteredQuantity], start: date, end: date) -> list[MeteredQuantity]:
    return [row for row in rows if start <= row.usage_day <= end]


def _compared(billed: dict[LineKey, int], simulated: dict[LineKey, int]) -> Iterator[Amount]:
    """Both by kind of line; a plan that the draft names otherwise compares all the same."""
    sums: dict[tuple[str, str, str, str, Component], list[int]] = {}
    for side, found in enumerate((billed, simulated)):
        for key, minor in found.items():
            kind = (key.customer_id, key.currency, key.charge or key.term, key.meter, key.component)
            sums.setdefault(kind, [0, 0])[side] += minor
    for kind, (before, after) in sorted(sums.items()):
        yield Amount(*kind, before, after)
