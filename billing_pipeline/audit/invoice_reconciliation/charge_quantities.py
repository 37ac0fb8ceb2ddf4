"""Rollups against charges: per usage period what is metered of it beside what its lines are charged for."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from billing_pipeline.audit.invoice_reconciliation.comparison import Compared, EndedPeriod, listed
from billing_pipeline.audit.invoice_reconciliation.difference_causes import GroupCauses
from billing_pipeline.audit.rated_days import KnownAgreements
from billing_pipeline.invoicing.lines.rating_inputs import scan_between
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.stage import Workshop
from billing_pipeline.rating.money import EXACT, plain
from billing_pipeline.rating.periods import period_end
from billing_pipeline.schemas.table import Column, ColumnType
from billing_pipeline.schemas.tables import BLOCKED_INVOICES, RATED_CHARGES, RATED_PERIODS, USAGE_ROLLUPS

SQL = Path(__file__).parent / "sql"
COMPARISON = "rollups_charges"
_Total = tuple[str, date, str, str, str]
"""Customer, usage period, meter, unit, cause."""
PERIOD_COLUMNS = (
    Column("customer_id", ColumnType.TEXT, "whose usage period"),
    Column("usage_period", ColumnType.DAY, "its start"),
    Column("last_day", ColumnType.DAY, "its last day"),
)


class UsageGroup(NamedTuple):
    """Usage that the lines do not tell apart by more than plan, charge and term."""

    customer_id: str
    usage_period: date
    project_id: str
    meter: str
    unit: str
    dimensions: str
    rule_version: str

    def __str__(self) -> str:
        return f"project {self.project_id} {self.dimensions} rules {self.rule_version}"


_GROUP = ", ".join(UsageGroup._fields)


def blocked_periods(workshop: Workshop, session: Session, day: date) -> dict[str, dict[date, str]]:
    """By customer whose invoice of the day is held back: the reasons by usage period."""
    files = [file.path for file in workshop.lake.files(BLOCKED_INVOICES, [day])]
    session.scan("blocked_now", BLOCKED_INVOICES, files)
    rows: list[tuple[Any, ...]] = session.rows(
        "SELECT customer_id, usage_period, reason_code, message FROM blocked_now "
        "ORDER BY customer_id, usage_period, reason_code, message"
    )
    found: dict[str, dict[date, str]] = {}
    for customer_id, usage_period, code, message in rows:
        reasons = found.setdefault(customer_id, {})
        before = f"{reasons[usage_period]}; " if usage_period in reasons else ""
        reasons[usage_period] = f"{before}{code}: {message}"
    return found


def charge_quantities(
    workshop: Workshop, day: date, periods: Mapping[str, EndedPeriod]
) -> Iterator[Compared]:
    """Per customer, usage period that the invoice is about, and meter; each cause by itself.

    The usage periods are those that the invoice has rated or was blocked for, its own, and those of usage that was
    posted in it.
    """
    with workshop.engine.session() as session:
        blocked = blocked_periods(workshop, session, day)
        agreements = KnownAgreements(workshop, session)
        usage_periods = _usage_periods(workshop, session, day, periods, agreements)
        rated = {(row[0], row[1]) for row in session.rows("SELECT customer_id, usage_period FROM rated_now")}
        causes = GroupCauses(workshop, session, agreements, blocked, rated)
        totals: dict[_Total, list[Decimal]] = {}
        told: dict[_Total, list[str]] = {}
        session.define("charged_quantities", SQL / "charged_quantities.sql")
        rows: list[tuple[Any, ...]] = session.rows(f"SELECT * FROM charged_quantities ORDER BY {_GROUP}")
        differing = [UsageGroup(*row[:7]) for row in rows if row[7] != row[8]]
        causes.look_at([(*each, usage_periods[each.customer_id, each.usage_period]) for each in differing])
        for *group, metered, charged, in_trial in rows:
            of = UsageGroup(*group)
            cause = causes.of(of, metered, charged) if metered != charged else "trial" if in_trial else ""
            key = (of.customer_id, of.usage_period, of.meter, of.unit, cause)
            total = totals.setdefault(key, [Decimal(), Decimal()])
            total[0], total[1] = EXACT.add(total[0], metered), EXACT.add(total[1], charged)
            if cause in {"unexplained", "no_amount"}:
                told.setdefault(key, []).append(f"{of}: rollups {plain(metered)}, charges {plain(charged)}")
    for key, (metered, charged) in totals.items():
        customer_id, usage_period, meter, unit, cause = key
        reasons = blocked.get(customer_id, {}) if cause == "blocked" else {}
        yield Compared(
            periods[customer_id],
            COMPARISON,
            metered,
            charged,
            cause,
            usage_period=usage_period,
            meter=meter,
            unit=unit,
            detail=listed(told.get(key, list(dict.fromkeys(reasons.values())))),
        )


def _usage_periods(
    workshop: Workshop,
    session: Session,
    day: date,
    periods: Mapping[str, EndedPeriod],
    agreements: KnownAgreements,
) -> dict[tuple[str, date], date]:
    """The last day of each usage period that is compared; names the relations they are compared by."""
    session.scan(
        "rated_now", RATED_PERIODS, [each.path for each in workshop.lake.files(RATED_PERIODS, [day])]
    )
    found = {(each.customer_id, each.start) for each in periods.values()}
    rows: list[tuple[Any, ...]] = session.rows(
        "SELECT customer_id, usage_period FROM rated_now UNION SELECT customer_id, usage_period FROM blocked_now"
    )
    found.update((customer_id, start) for customer_id, start in rows if customer_id in periods)
    first = min(each.start for each in periods.values())
    after = date.fromordinal(day.toordinal() + 1)
    scan_between(workshop, session, "rollups", USAGE_ROLLUPS, between=(first, after))
    late: list[tuple[Any, ...]] = session.rows(
        f"SELECT DISTINCT customer_id, usage_day, posting_day FROM rollups WHERE usage_day < DATE '{first}'"
    )
    for customer_id, usage_day, posting_day in late:
        if customer_id in periods and posting_day >= periods[customer_id].start:
            found.add((customer_id, agreements.period_of(customer_id, usage_day)))
    anchors = {customer_id: agreements.now.anchor_day(customer_id) for customer_id in periods}
    ends = {
        (customer_id, start): _last_day(start, anchors[customer_id], periods[customer_id])
        for customer_id, start in found
    }
    session.load("usage_periods", PERIOD_COLUMNS, [(*key, end) for key, end in sorted(ends.items())])
    oldest = min(start for _, start in found)
    scan_between(workshop, session, "rollups", USAGE_ROLLUPS, between=(oldest, after))
    scan_between(workshop, session, "charged", RATED_CHARGES, between=(date.min, after))
    return ends


def _last_day(start: date, anchor_day: int, period: EndedPeriod) -> date:
    """The usage period's last day, also where the anchor has changed since and no period of today's starts there."""
    if start == period.start:
        return period.end
    try:
        return period_end(start, anchor_day)
    except ValueError:
        return date.fromordinal(period.start.toordinal() - 1)


def periods_by_customer(periods: Sequence[EndedPeriod]) -> dict[str, EndedPeriod]:
    """The periods that end on one day, by customer."""
    return {each.customer_id: each for each in periods}
