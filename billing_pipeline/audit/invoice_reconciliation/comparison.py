"""One row of the reconciliation: what two neighbours say of the same, and why they differ. Values only."""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from billing_pipeline.rating.money import EXACT, format_minor, grouped
from billing_pipeline.schemas.invoice_causes import CAUSES, COMPARISONS, Status

MINOR = "minor"
"""The unit of amounts: the minor unit of the row's currency."""
LISTED_MOST = 5
"""Lines and groups of usage named in one message."""


class EndedPeriod(NamedTuple):
    """One customer's invoice period: its name and its last posting day."""

    customer_id: str
    start: date
    end: date


class Compared(NamedTuple):
    """What two neighbours say. `expected` is the first one's, `found` the second one's.

    Attributes:
        currency: "" where quantities are compared.
        usage_period: of charged quantities.
        meter: of quantities; "" for what no meter takes, and for amounts.
        unit: of the quantities, or `MINOR`.
        cause: one of `CAUSES`, or "" where nothing is to be said.
        reference: an object in Stripe, or "".
    """

    period: EndedPeriod
    comparison: str
    expected: Decimal
    found: Decimal
    cause: str = ""
    currency: str = ""
    usage_period: date | None = None
    meter: str = ""
    unit: str = MINOR
    reference: str = ""
    detail: str = ""

    @property
    def difference(self) -> Decimal:
        """What the second says beyond the first."""
        return EXACT.subtract(self.found, self.expected)

    @property
    def status(self) -> Status:
        """How it stands; a difference without a cause is unexplained."""
        if self.cause:
            return CAUSES[self.cause].status
        return "unexplained" if self.difference else "equal"

    @property
    def message(self) -> str:
        """What the cause means, which lines, and what to do."""
        if not self.cause and not self.difference:
            return self.detail
        cause = CAUSES[self.cause or "unexplained"]
        return "; ".join(each for each in (cause.meaning, self.detail, cause.action) if each)

    @property
    def row(self) -> "ReportRow":
        """As the table has it."""
        return ReportRow(
            self.period.end,
            self.period.start,
            self.period.customer_id,
            self.currency,
            self.comparison,
            self.usage_period,
            self.meter,
            self.unit,
            self.expected,
            self.found,
            self.difference,
            self.cause or ("unexplained" if self.difference else ""),
            self.status,
            self.reference,
            self.message,
        )


class ReportRow(NamedTuple):
    """One row of `reconciliation_report`."""

    period_end_day: date
    billing_period: date
    customer_id: str
    currency: str
    comparison: str
    usage_period: date | None
    meter: str
    unit: str
    expected: Decimal
    found: Decimal
    difference: Decimal
    cause: str
    status: Status
    reference: str
    message: str

    def shown(self, amount: Decimal) -> str:
        """A figure of the row for people, with its unit."""
        if self.unit != MINOR:
            return f"{grouped(amount)} {self.unit}"
        whole = EXACT.to_integral_value(amount)
        fraction = "" if whole == amount else f" (exactly {amount:f} minor units)"
        return f"{format_minor(int(whole), self.currency)}{fraction}" if self.currency else f"{whole:f}"


def sort_rows(rows: Iterable[ReportRow]) -> list[ReportRow]:
    """By customer, period and the way of an amount."""
    return sorted(rows, key=_order)


def needing_someone(rows: Iterable[ReportRow]) -> list[ReportRow]:
    """The rows that are unexplained, or that a person must act upon."""
    return [row for row in rows if row.status in {"person", "unexplained"}]


def listed(texts: Sequence[str]) -> str:
    """The first few, and how many there are beyond."""
    more = len(texts) - LISTED_MOST
    return ", ".join(texts[:LISTED_MOST]) + (f" and {more} more" if more > 0 else "")


def _order(row: ReportRow) -> tuple[Any, ...]:
    return (
        *(row.customer_id, row.billing_period, COMPARISONS.index(row.comparison), row.currency),
        *(row.usage_period or date.min, row.meter, row.unit, row.cause, row.reference),
        *(row.expected, row.found, row.message),
    )
