"""Whether rollups are complete: what each meter's own events and corrections add up to, made another way.

The filters of the rule book are written as SQL here, and the meters are taken one by one: another way to the number
than the one that made it.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import ROUND_FLOOR, Context, Decimal
from pathlib import Path
from typing import Any, NamedTuple

from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.calendar import DAY_US, days_between, start_of
from billing_pipeline.metering.marginal_rollups import USAGE_DAY_COLUMNS
from billing_pipeline.metering.rollups import POSTING_DAY_COLUMNS
from billing_pipeline.metering.stage import Workshop, receipt_days_for, scan
from billing_pipeline.rating.rule_book import DISTINCT_DIMENSION, Meter, RuleBook
from billing_pipeline.schemas.tables import UNIQUE_USAGE_EVENTS, USAGE_CORRECTIONS, USAGE_ROLLUPS

SQL = Path(__file__).parent / "sql"
NINTH_DIGIT = Decimal("0.000000001")
_EXACT = Context(prec=80)
_KIND = "CASE WHEN origin = 'correction' THEN 'correction' WHEN posting_day = usage_day THEN 'on_time' ELSE 'late' END"
_ALL_KINDS = "'usage'"


class Sum(NamedTuple):
    """A quantity and the events behind it."""

    quantity: Decimal = Decimal()
    events: int = 0

    def __str__(self) -> str:
        """As a fault says it."""
        return f"{self.quantity:f} in {self.events} events"


class Part(NamedTuple):
    """What is summed by itself; `kind` only where the meter adds up, else `usage`."""

    posting_day: date
    customer_id: str
    kind: str
    usage_day: date

    def __str__(self) -> str:
        """As a fault says it."""
        return f"{self.posting_day}, {self.customer_id}, {self.kind} of {self.usage_day}"


Sums = dict[Part, Sum]


class MeterSums(NamedTuple):
    """What one meter's own events add up to, and what its rollups say; `version` is None where it is of all."""

    meter: Meter
    version: str | None
    expected: Sums
    found: Sums


def rollup_faults(workshop: Workshop, days: Sequence[date], version: str | None = None) -> list[str]:
    """Where the rollups of these posting days are not, per customer, what each meter's own events add up to.

    Of one rule version, or of all: then every version found in the days' events must be there. A meter that looks at a
    usage day as a whole may book under several versions, so it is looked at only over all of them.
    """
    faults: list[str] = []
    for each in meter_sums(workshop, days, version):
        of_version = f", rule version {each.version}" if each.version else ""
        faults += _differences(f"meter {each.meter.name}{of_version}", each.expected, each.found)
    return faults


def meter_sums(workshop: Workshop, days: Sequence[date], version: str | None = None) -> Iterator[MeterSums]:
    """Both sums of every meter over some posting days, meter by meter (see `rollup_faults`)."""
    with workshop.engine.session() as session:
        scan(workshop, session, "rollups", USAGE_ROLLUPS, days)
        session.load("chosen_days", POSTING_DAY_COLUMNS, [(day,) for day in sorted(set(days))])
        _name_booked(workshop, session, receipt_days_for(workshop, days))
        for book in (book for book in workshop.books if version in (None, book.version)):
            for meter in (meter for meter in book.meters.values() if meter.is_additive):
                where = f"{_of_version(book)} AND {takes(meter)}"
                expected = _sums(session, _added(meter, where))
                yield MeterSums(meter, book.version, expected, _found(session, meter, _of_version(book)))
        if version is None:
            yield from _whole_days(workshop, session, days)


def _name_booked(workshop: Workshop, session: Session, receipt_days: Sequence[date]) -> None:
    scan(workshop, session, "unique_events", UNIQUE_USAGE_EVENTS, receipt_days)
    scan(workshop, session, "corrections", USAGE_CORRECTIONS, receipt_days)
    session.define("booked", SQL / "booked.sql")


def _added(meter: Meter, where: str) -> str:
    what = "event_share" if meter.aggregation == "count" else "quantity"
    return (
        f"SELECT posting_day, customer_id, usage_day, {_KIND} AS kind, "
        f"sum(CASE WHEN sign < 0 THEN -{what} ELSE {what} END), "
        "sum(CASE WHEN event_share > 0 THEN sign ELSE 0 END) FROM booked "
        f"WHERE posting_day IN (SELECT posting_day FROM chosen_days) AND {where} "
        f"GROUP BY posting_day, customer_id, usage_day, {_KIND}"
    )


def _found(session: Session, meter: Meter, where: str = "true", kind: str = "kind") -> Sums:
    return _sums(
        session,
        f"SELECT posting_day, customer_id, usage_day, {kind} AS what, sum(quantity), sum(event_count) FROM rollups "
        f"WHERE {where} AND meter = {_text(meter.name)} GROUP BY posting_day, customer_id, usage_day, what",
    )


def _whole_days(workshop: Workshop, session: Session, days: Sequence[date]) -> Iterator[MeterSums]:
    meters = {
        meter.name: meter
        for book in workshop.books
        for meter in book.meters.values()
        if not meter.is_additive
    }
    touched = session.rows(
        "SELECT DISTINCT usage_day FROM booked WHERE posting_day IN (SELECT posting_day FROM chosen_days)"
    )
    usage_days = sorted(row[0] for row in touched if isinstance(row[0], date))
    if not meters or not usage_days:
        return
    session.load("usage_days", USAGE_DAY_COLUMNS, [(day, start_of(day) + DAY_US) for day in usage_days])
    _name_booked(workshop, session, receipt_days_for(workshop, days_between(usage_days[0], max(days))))
    for meter in meters.values():
        expected = _whole_day_sums(session, meter, workshop.books)
        yield MeterSums(meter, None, expected, _found(session, meter, kind=_ALL_KINDS))


def _whole_day_sums(session: Session, meter: Meter, books: Iterable[RuleBook]) -> Sums:
    """What a meter of this name changes, under the terms that each rule version gives it."""
    versions = [(book, book.meters[meter.name]) for book in books if meter.name in book.meters]
    with_same_terms = [
        (b, m) for b, m in versions if (m.aggregation, m.distinct) == (meter.aggregation, meter.distinct)
    ]
    rows = " UNION ALL ".join(_meter_rows(book, each) for book, each in with_same_terms)
    expected = (SQL / "whole_day_expected.sql").read_text("utf-8")
    sums: Sums = {}
    found_rows: list[tuple[Any, ...]] = session.rows(
        expected.replace("WITH", f"WITH meter_rows AS ({rows}),", 1)
    )
    for day, customer_id, usage_day, state, events, *found in found_rows:
        part = Part(day, customer_id, "usage", usage_day)
        before, sign = sums.get(part, Sum()), 1 if state == "now" else -1
        quantity = _quantity(meter, *(Decimal(str(each or 0)) for each in found))
        sums[part] = Sum(
            _EXACT.add(before.quantity, sign * quantity), before.events + sign * int(str(events))
        )
    return sums


def _quantity(meter: Meter, largest: Decimal, latest: Decimal, values: Decimal, weighted: Decimal) -> Decimal:
    if meter.aggregation == "max":
        return largest
    if meter.aggregation == "latest":
        return latest
    if meter.aggregation == "unique_count":
        return values
    seconds = _EXACT.divide(weighted, Decimal(1_000_000))
    return seconds.quantize(NINTH_DIGIT, ROUND_FLOOR, _EXACT)


def _meter_rows(book: RuleBook, meter: Meter) -> str:
    group = " || ".join(
        f"coalesce({_text(name + '=')} || {_dimension(name)} || ';', '')" for name in sorted(meter.group_by)
    )
    distinct = meter.distinct or ""
    value = "CAST(NULL AS VARCHAR)"
    if distinct.startswith(DISTINCT_DIMENSION):
        value = _dimension(distinct.removeprefix(DISTINCT_DIMENSION))
    elif distinct:
        value = f"e.{distinct}"
    weighted = "true" if meter.aggregation == "time_weighted_sum" else "false"
    return (
        "SELECT b.posting_day, b.usage_day, b.sign, b.customer_id, b.project_id, b.unit, b.allocation_index, "
        f"b.quantity, {group or _text('')} AS group_text, {value} AS value, {weighted} AS is_weighted, "
        "e.occurred_at, e.source, e.id "
        "FROM booked AS b INNER JOIN unique_events AS e ON b.event_offset = e.queue_offset AND e.allocation_index = 0 "
        f"WHERE b.event_share > 0 AND b.{_of_version(book)} AND {takes(meter, 'b.')} "
        "AND b.usage_day IN (SELECT usage_day FROM usage_days)"
    )


def _sums(session: Session, query: str) -> Sums:
    rows: list[tuple[Any, ...]] = session.rows(query)
    return {
        Part(day, customer_id, kind, usage_day): Sum(Decimal(str(quantity)), int(str(events)))
        for day, customer_id, usage_day, kind, quantity, events in rows
    }


def _differences(what: str, expected: Sums, found: Sums) -> list[str]:
    return [
        f"{part}: {what}: events say {expected.get(part, 'nothing')}, rollups {found.get(part, 'nothing')}"
        for part in sorted(expected.keys() | found.keys(), key=str)
        if expected.get(part, Sum()) != found.get(part, Sum())
    ]


def _of_version(book: RuleBook) -> str:
    return f"rule_version = {_text(book.version)}"


def takes(meter: Meter, prefix: str = "") -> str:
    """The condition under which a meter takes a usage, as SQL over columns with a prefix."""
    conditions = [f"{prefix}unit = {_text(meter.unit)}"]
    for name, values in sorted(meter.filter.items()):
        listed = ", ".join(_text(value) for value in sorted(values))
        conditions.append(f"{_dimension(name, prefix)} IN ({listed})")
    return " AND ".join(conditions)


def _dimension(name: str, prefix: str = "b.") -> str:
    path = _text('$."' + name + '"')
    return f"json_extract_string({prefix}dimensions, {path})"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
