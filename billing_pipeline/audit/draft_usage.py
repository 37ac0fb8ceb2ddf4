"""Usage of a past stretch of days as a draft rule book meters it: the rollups there are, or made again beside them.

Events keep what was decided about them when they came: which were valid, which counted, on which day they were booked.
Only the meters are the draft's. What is metered again lies in a scratch place over the lake.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from billing_pipeline.audit.report import Progress
from billing_pipeline.lake.engine import Session
from billing_pipeline.lake.overlay import OverlaidLake
from billing_pipeline.metering.rollups import list_unmetered, roll_up, versions_found
from billing_pipeline.metering.stage import Workshop
from billing_pipeline.rating.rule_book import Meter, RuleBook, RuleBooks
from billing_pipeline.schemas.table import Table
from billing_pipeline.schemas.tables import (
    UNIQUE_USAGE_EVENTS,
    UNMETERED_USAGE,
    USAGE_CORRECTIONS,
    USAGE_ROLLUPS,
)

ONE_DAY = timedelta(days=1)
DAYS_AT_ONCE = 7


@dataclass(frozen=True)
class UsageDays:
    """From `first` to `last`, both included."""

    first: date
    last: date

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    @property
    def condition(self) -> str:
        """As SQL."""
        return f"usage_day BETWEEN DATE '{self.first}' AND DATE '{self.last}'"


def books_in_force(books: RuleBooks, days: UsageDays) -> list[RuleBook]:
    """The versions in force on some days, or on a part of them."""
    start = datetime.combine(days.first, time(), tzinfo=UTC)
    end = datetime.combine(days.last + ONE_DAY, time(), tzinfo=UTC)
    opening = books.in_force(start)
    later = [book for book in books if start < book.effective_from < end]
    return [opening, *later] if opening else later


def differing_meters(draft: RuleBook, in_force: Sequence[RuleBook]) -> tuple[str, ...]:
    """The meters that the draft has otherwise than one of the versions in force, or that only one side has."""
    names = set(draft.meters).union(*(book.meters for book in in_force))
    mine = {name: _counts(draft.meters.get(name)) for name in names}
    return tuple(
        sorted(
            name for name in names if any(_counts(book.meters.get(name)) != mine[name] for book in in_force)
        )
    )


def _counts(meter: Meter | None) -> tuple[object, ...] | None:
    if meter is None:
        return None
    return meter.unit, meter.aggregation, frozenset(meter.group_by), dict(meter.filter), meter.distinct


@contextmanager
def metered_usage_of(
    workshop: Workshop, scratch: OverlaidLake, days: UsageDays, *, meters_of: RuleBook | None, told: Progress
) -> Iterator[Session]:
    """A session with the relations `rollups` and `unmetered` of all postings of some usage days, as known now.

    Args:
        workshop: over `scratch`, the lake to which rollups that are made again are written.
        scratch: over the lake of the company.
        days: the usage days; the relations may have others too.
        meters_of: the draft whose meters count; None takes the rollups there are.
        told: the progress.
    """
    if meters_of is not None:
        _meter_again(workshop, days, meters_of, told)
    with workshop.engine.session() as session:
        for name, table in (("rollups", USAGE_ROLLUPS), ("unmetered", UNMETERED_USAGE)):
            session.scan(name, table, _paths(scratch, table, days.first, again=meters_of is not None))
        yield session


def _paths(scratch: OverlaidLake, table: Table, first: date, *, again: bool) -> list[str]:
    if again:
        return [file.path for files in scratch.replaced.get(table.name, {}).values() for file in files]
    # Usage is posted on its own day or later.
    return [file.path for file in scratch.files(table) if file.key.day >= first]


def _meter_again(workshop: Workshop, days: UsageDays, draft: RuleBook, told: Progress) -> None:
    books = RuleBooks(tuple(replace(book, meters=draft.meters) for book in workshop.books))
    over = replace(workshop, books=books)
    posting_days = _posting_days(over, days)
    for done in range(0, len(posting_days), DAYS_AT_ONCE):
        some = posting_days[done : done + DAYS_AT_ONCE]
        told(f"metering {some[0]} to {some[-1]} under the draft", done, len(posting_days))
        keys = versions_found(over, some)
        if keys:
            roll_up(over, keys)
        list_unmetered(over, some)


def _posting_days(workshop: Workshop, days: UsageDays) -> list[date]:
    """The days on which usage of some usage days was booked, be it taken back since."""
    first = days.first - timedelta(days=workshop.calendar.lookback_days())
    with workshop.engine.session() as session:
        for name, table in (("unique_events", UNIQUE_USAGE_EVENTS), ("corrections", USAGE_CORRECTIONS)):
            files = [file.path for file in workshop.lake.files(table) if file.key.day >= first]
            session.scan(name, table, files)
        rows = session.rows(
            f"SELECT DISTINCT posting_day FROM unique_events WHERE {days.condition} UNION "
            f"SELECT DISTINCT posting_day FROM corrections WHERE sign <> 0 AND {days.condition}"
        )
    return sorted(day for (day,) in rows if isinstance(day, date))
