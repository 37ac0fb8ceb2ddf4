"""On which days the invoice periods of a name end: those that start in a month, or on a day."""

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING, Any

from billing_pipeline.control.partition_records import latest
from billing_pipeline.errors import NoInvoicePeriodError
from billing_pipeline.invoicing.period_close.named import periods_named
from billing_pipeline.metering.registry_relations import registry_until
from billing_pipeline.metering.stage import Workshop, scan
from billing_pipeline.rating.periods import parse_period
from billing_pipeline.schemas.tables import BLOCKED_INVOICES, INVOICE_LINES, RATED_PERIODS

if TYPE_CHECKING:
    from sqlalchemy import Engine

_MONTH_LENGTH = len("2026-10")


def starts_within(name: str, start: date) -> bool:
    """Whether a period that starts on a day bears a name: `2026-10` is every period that starts in that month."""
    return start.isoformat().startswith(name[:_MONTH_LENGTH]) and (
        len(name) == _MONTH_LENGTH or start == parse_period(name)
    )


def end_days(workshop: Workshop, control: "Engine", name: str | None) -> list[date]:
    """The days on which invoice periods of a name end and that have been invoiced; of the newest where none is given.

    Raises:
        NoInvoicePeriodError: it names no period, or none of it has been invoiced yet.
    """
    wanted = name or newest_period(workshop)
    with workshop.engine.session() as session:
        registry = registry_until(workshop, session, date.max)
    invoiced = {date.fromisoformat(key) for key in latest(control, INVOICE_LINES.name)}
    days = {period.end for period in periods_named(registry, wanted)} & invoiced
    if not days:
        raise NoInvoicePeriodError(
            f"no invoice period that is named {wanted} has been invoiced yet; close its last day with `billing close`"
        )
    return sorted(days)


def newest_period(workshop: Workshop) -> str:
    """The month in which the newest invoice period starts that was rated or held back.

    Raises:
        NoInvoicePeriodError: there is none.
    """
    with workshop.engine.session() as session:
        scan(workshop, session, "rated", RATED_PERIODS)
        scan(workshop, session, "held_back", BLOCKED_INVOICES)
        ((newest,),) = session.rows(
            "SELECT max(billing_period) FROM (SELECT billing_period FROM rated UNION ALL "
            "SELECT billing_period FROM held_back) AS b"
        )
    if not isinstance(newest, date):
        raise NoInvoicePeriodError(
            "no invoice period has been rated yet; close its last day with `billing close`"
        )
    return newest.isoformat()[:_MONTH_LENGTH]


def of_period(rows: Iterable[Any], name: str) -> list[Any]:
    """The rows whose billing period bears a name."""
    return [row for row in rows if starts_within(name, row.billing_period)]
