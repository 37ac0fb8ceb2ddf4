"""Meter events against Stripe: what metered lines come to, what was delivered, what Stripe has counted. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from billing_pipeline.audit.invoice_reconciliation.comparison import Compared, EndedPeriod
from billing_pipeline.invoicing.meter_events.comparing import DeliveredUsage, MeteredKey
from billing_pipeline.rating.money import EXACT

COMPARISON = "meter_events_stripe"
LAG_US = 3_600_000_000
"""Stripe counts events after it has taken them; an hour later it should have."""
_STATES = (
    ("waiting", "not_sent"),
    ("expired", "expired"),
    ("refused", "refused"),
    ("cancelled", "cancelled"),
    ("reported", "error_report"),
)
_ONE = Decimal(1)


class MeteredLine(NamedTuple):
    """What the lines of an invoice period that Stripe prices come to, over projects and rule versions."""

    customer_id: str
    plan: str
    charge: str
    meter: str
    dimensions: str
    unit: str
    quantity: Decimal

    @property
    def key(self) -> tuple[str, ...]:
        """As the meter events have it."""
        return self[:5]


def metered_quantities(
    periods: Mapping[str, EndedPeriod],
    lines: Sequence[MeteredLine],
    usage: Sequence[DeliveredUsage],
    counted: Mapping[MeteredKey, Decimal | None],
    now_us: int,
) -> Iterator[Compared]:
    """A row for what Stripe should have counted, one for each other fate of an event, and one for what is no event.

    Args:
        periods: the invoice periods, by customer.
        lines: of plans that deliver meter events.
        usage: what became of the events of these periods.
        counted: by Stripe; None where it has no such customer or meter.
        now_us: UTC µs.
    """
    by_line = {line.key: line for line in lines}
    by_usage = {_key(each): each for each in usage}
    for key in sorted(by_line.keys() | by_usage.keys()):
        line, told = by_line.get(key), by_usage.get(key)
        about = _About(periods[key[0]], key, line.unit if line else "units", told)
        if told is not None:
            yield from about.events(told, counted.get(told.key), now_us)
        if line is not None:
            yield from about.rest(line.quantity, told)
        elif told is not None and told.planned:
            yield about.row(Decimal(), Decimal(told.planned), "unexplained", "no line has this usage")


class _About(NamedTuple):
    """One charge of one customer's period."""

    period: EndedPeriod
    key: tuple[str, ...]
    unit: str
    told: DeliveredUsage | None

    def row(self, expected: Decimal, found: Decimal, cause: str = "", detail: str = "") -> Compared:
        _, plan, charge, meter, dimensions = self.key
        about = f"charge {charge} of plan {plan} {dimensions}"
        return Compared(
            self.period,
            COMPARISON,
            expected,
            found,
            cause,
            meter=meter,
            unit=self.unit,
            reference=self.told.key.event_name if self.told else "",
            detail=f"{about}: {detail}" if detail else about,
        )

    def events(self, told: DeliveredUsage, counted: Decimal | None, now_us: int) -> Iterator[Compared]:
        expected, found = Decimal(told.expected), counted or Decimal()
        if expected or found:
            is_late = told.newest_at > now_us - LAG_US
            cause = "" if expected == found else "lag" if is_late else "unexplained"
            detail = "Stripe has no such customer or meter" if counted is None and expected else ""
            yield self.row(expected, found, cause, detail)
        for name, cause in _STATES:
            value = Decimal(getattr(told, name))
            if value:
                yield self.row(value, Decimal(), cause)

    def rest(self, quantity: Decimal, told: DeliveredUsage | None) -> Iterator[Compared]:
        """What the events do not say of the lines: less than one unit, unless none were made."""
        rest = EXACT.subtract(quantity, Decimal(told.planned if told else 0))
        if 0 < rest < _ONE:
            yield self.row(rest, Decimal(), "fraction")
        elif rest:
            yield self.row(rest, Decimal(), "unexplained" if told else "not_sent")


def _key(each: DeliveredUsage) -> tuple[str, ...]:
    key = each.key
    return key.customer_id, key.plan, key.charge, key.meter, key.dimensions
