"""Laws of metering over generated histories: the SQL equals the reference model, and the same log gives the same bytes.

Every example is a company of its own, in memory where the system offers that. `make test` runs a few examples, always
the same; `make torture` many, and always others.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, note, settings
from hypothesis import strategies as st

from billing_pipeline.metering.control_records import separate_registry_changes
from billing_pipeline.metering.identity import identify
from billing_pipeline.metering.restated import restate
from billing_pipeline.metering.rollups import list_unmetered, roll_up, versions_found
from billing_pipeline.metering.stage import StageResult, scan
from billing_pipeline.metering.validation import validate
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.tables import BY_NAME
from billing_pipeline.settings import PROJECT_ROOT, Settings
from billing_pipeline_tests.metering.comparison import COLUMNS, Row, expected, shown
from billing_pipeline_tests.metering.histories import BASE, REGISTERED, History, histories, meters, numbered
from billing_pipeline_tests.metering.reference.calendar import close
from billing_pipeline_tests.metering.reference.log import (
    DAY_US,
    Book,
    Correction,
    Entry,
    Record,
    Replacement,
    Share,
    Usage,
)
from billing_pipeline_tests.metering.reference.metering import Metering, added, identity, posting_days
from billing_pipeline_tests.metering.reference.rollups import restated, rollups
from billing_pipeline_tests.metering.translation import books_of, day_of, entries_of

MEMORY = Path("/dev/shm")  # noqa: S108 - only where the system offers it, in a folder of its own
WITHOUT_OFFSETS = ("usage_rollups", "unmetered_usage", "restated_rollups")
"""The tables whose content is the same wherever in the log their events stood."""

Hashes = dict[tuple[str, str], str]


def examples(most: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A few examples, the same in every run; one that fails is shown as it is: shrinking it would take minutes."""
    return settings(
        max_examples=most,
        phases=(Phase.explicit, Phase.generate),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def many(most: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Many examples, others in every run; one that fails is made small."""
    return settings(max_examples=most, deadline=None, suppress_health_check=list(HealthCheck))


rich = histories().filter(lambda history: len(history.log) >= 20)
"""For the few examples: the simplest history there is comes first, and would be one of them."""


def days_of(history: History) -> list[date]:
    """Every receipt day and posting day of a history."""
    metering = Metering(history.books, history.log)
    return [day_of(day) for day in sorted({*metering.receipt_days.values(), *posting_days(metering)})]


def usage_days_of(history: History) -> list[date]:
    """Every usage day of a history."""
    metering = Metering(history.books, history.log)
    return [day_of(day) for day in sorted({event.usage_day for event in metering.events.values()})]


def hashes(*results: StageResult, tables: Sequence[str] | None = None) -> Hashes:
    """The content hash of every partition that is not empty, as it was made last."""
    return {
        (each.table, str(each.key)): each.content_hash
        for result in results
        for each in result.partitions
        if each.rows and (tables is None or each.table in tables)
    }


@dataclass(frozen=True)
class Works:
    """Companies for histories, and what is done in them."""

    receive: Callable[..., None]
    meter: Callable[[Pipeline, Sequence[date]], StageResult]

    @contextmanager
    def company(self, history: History) -> Iterator[Pipeline]:
        """A fresh company under the rules of a history, gone at the end."""
        home = Path(tempfile.mkdtemp(prefix="billing-test-", dir=MEMORY if MEMORY.is_dir() else None))
        pipeline = Pipeline(
            Settings(
                home=home / "home",
                data=PROJECT_ROOT / "data",
                stripe_api_key=None,
                stripe_api_base=None,
                memory_limit_mb=1000,
                threads=1,
            )
        )
        pipeline.books = books_of(history.books)
        try:
            yield pipeline
        finally:
            shutil.rmtree(home, ignore_errors=True)

    def in_one_go(self, pipeline: Pipeline, history: History) -> Hashes:
        """One batch, one run over all days."""
        self.receive(pipeline, entries_of(history.log))
        result = self.meter(pipeline, days_of(history))
        return hashes(result, restate(pipeline.workshop, usage_days_of(history)))

    def as_the_days_close(self, pipeline: Pipeline, history: History) -> Hashes:
        """Day by day: what came before the close, in small batches, and the day's run; the restated view last."""
        found: Hashes = {}
        metering = Metering(history.books, history.log)
        position = 0
        for day in sorted({*metering.receipt_days.values(), *posting_days(metering)}):
            until = len(history.until(close(history.books, day)).log)
            arrived = entries_of(history.log)[position:until]
            self.receive(pipeline, arrived, batch_records=3, stretch_records=20)
            found |= hashes(self.meter(pipeline, [day_of(day)]))
            position = until
        return found | hashes(restate(pipeline.workshop, usage_days_of(history)))

    def backwards(self, pipeline: Pipeline, history: History) -> Hashes:
        """Everything landed first, then every stage over its partitions one by one, the last one first."""
        self.receive(pipeline, entries_of(history.log), batch_records=7)
        workshop, days = pipeline.workshop, days_of(history)
        results = [separate_registry_changes(workshop, days)]
        for stage in (validate, identify):
            results += [stage(workshop, [day]) for day in reversed(days)]
        results += [roll_up(workshop, [key]) for key in reversed(versions_found(workshop, days))]
        results += [list_unmetered(workshop, [day]) for day in reversed(days)]
        results += [restate(workshop, [day]) for day in reversed(usage_days_of(history))]
        return hashes(*results)


@pytest.fixture(scope="module")
def works(receive: Callable[..., None], meter: Callable[[Pipeline, Sequence[date]], StageResult]) -> Works:
    return Works(receive, meter)


# The SQL equals the model.


def check_against_the_model(works: Works, history: History) -> None:
    metering = Metering(history.books, history.log)
    with works.company(history) as pipeline:
        works.in_one_go(pipeline, history)
        found = tables(pipeline)
    for table in COLUMNS:
        assert shown(metering, table, found[table]) == expected(metering, table), table
    check_conservation(found)


def tables(pipeline: Pipeline) -> dict[str, list[Row]]:
    """What is compared of every table, and the offsets of the log and of its control records; in one session."""
    wanted = {**COLUMNS, "raw_usage_events": "queue_offset", "registry_changes": "queue_offset"}
    found: dict[str, list[Row]] = {}
    with pipeline.engine.session() as session:
        for table, columns in wanted.items():
            scan(pipeline.workshop, session, table, BY_NAME[table])
            found[table] = session.rows(f"SELECT {columns} FROM {table}")
    return found


def check_conservation(found: dict[str, list[Row]]) -> None:
    """Every record is accounted for once; what is billable and metered is what the rollups of a sum meter hold."""

    def offsets(table: str, column: int) -> Counter[int]:
        return Counter({row[column] for row in found[table]})

    valid = offsets("valid_usage_events", 1)
    assert offsets("raw_usage_events", 0) == (
        valid + offsets("registry_changes", 0) + offsets("rejected_usage_events", 1)
    )
    assert valid == (
        offsets("unique_usage_events", 4)
        + offsets("duplicate_usage_events", 1)
        + offsets("usage_corrections", 1)
    )

    def total(rows: Iterable[tuple[int, bool, Any]]) -> Fraction:
        return sum((sign * Fraction(quantity) for sign, wanted, quantity in rows if wanted), Fraction(0))

    events = (
        (1, billable and unit == "token", quantity)
        for *_, unit, _, billable, quantity, _ in found["unique_usage_events"]
    )
    corrections = (
        (row[3], billable and unit == "token", quantity)
        for *row, _, _, unit, _, billable, quantity, _ in found["usage_corrections"]
    )
    booked = total(events) + total(corrections)
    for table in ("usage_rollups", "restated_rollups"):
        metered = ((1, meter == "tokens", quantity) for *_, meter, _, _, quantity, _ in found[table])
        assert total(metered) == booked


HOUR_US = DAY_US // 24


def noon(day: int) -> int:
    return (BASE + day) * DAY_US + 12 * HOUR_US


def small_history(*sent: tuple[int, Record], later: int | None = None, **terms: Any) -> History:
    """Records received at noon of some days, under a rule book that takes all there is.

    At noon of the day `later` another version comes into force, without a grace and without calls.
    """
    book = Book("v0", (BASE - 4) * DAY_US, ("token", "call"), meters("user_id", (), plain=False), **terms)
    books: tuple[Book, ...] = (book,)
    if later is not None:
        books += (replace(book, version="v1", effective_from=noon(later), units=("token",), grace_minutes=0),)
    registered = [Entry(0, noon(-1), record) for record in REGISTERED]
    return History(books, numbered([*registered, *(Entry(0, noon(day), record) for day, record in sent)]))


def tokens(event_id: str, day: int, quantity: int = 1, **fields: Any) -> Usage:
    event = Usage("app", event_id, "acme", "p", noon(day), "token", Fraction(quantity), user_id="u")
    return replace(event, **fields)


def fix(correction_id: str, corrects_id: str, action: str = "void", **fields: Any) -> Correction:
    return Correction("support", correction_id, noon(-1), ("app", corrects_id), action, **fields)


def put(correction_id: str, corrects_id: str, **named: Any) -> Correction:
    return fix(correction_id, corrects_id, "replace", replacement=Replacement(**named))


THREE = (
    Share("acme", "p", Fraction(3, 10)),
    Share("beta", "p", Fraction(3, 10)),
    Share("acme", "p", Fraction(4, 10)),
)
FORGETFUL = {"late_window_days": 1, "dedup_window_days": 3}
KNOWN_HISTORIES = {
    "what is corrected is remembered beyond the window within one run": small_history(
        (0, tokens("a", 0)), (0, fix("f", "a")), (5, tokens("a", 5)), **FORGETFUL
    ),
    "a correction is remembered beyond the window within one run": small_history(
        (0, fix("f", "a")), (0, tokens("a", 0)), (5, fix("f", "b")), **FORGETFUL
    ),
    "an identity expires and what is corrected is its latest event": small_history(
        (0, tokens("a", 0)), (5, tokens("a", 5)), (15, fix("f", "a")), **FORGETFUL
    ),
    "two versions share a usage day, with late events, splits and corrections of every kind": small_history(
        (2, tokens("a", 2, 5, occurred_at=noon(2) - 1)),
        (2, tokens("b", 2, 7)),
        (2, tokens("s", 2, 10, shares=THREE)),
        (3, tokens("c", 2, 6, occurred_at=noon(2) - HOUR_US)),
        (3, fix("f1", "a")),
        (3, fix("f2", "b", "adjust", delta=Fraction(-8))),
        (3, fix("f3", "b", "adjust", delta=Fraction(9, 8))),
        (3, fix("f2", "b", "adjust", delta=Fraction(-8))),
        (4, put("f4", "s", quantity=Fraction(11, 10))),
        (4, put("f5", "s", customer="beta")),
        (4, put("f6", "a", billable=False)),
        (4, put("f7", "c", unit="call", dimensions=(("model", "a"),))),
        (4, put("f8", "b", unit="call")),
        (4, fix("f9", "s")),
        later=2,
    ),
}
"""Small histories that went wrong once, or nearly."""


@pytest.mark.parametrize("history", KNOWN_HISTORIES.values(), ids=KNOWN_HISTORIES)
def test_the_sql_equals_the_model_where_it_once_did_not(works: Works, history: History) -> None:
    check_against_the_model(works, history)


@examples(3)
@given(history=rich)
def test_the_sql_equals_the_model_row_for_row(works: Works, history: History) -> None:
    check_against_the_model(works, history)


@pytest.mark.torture
@many(600)
@given(history=histories())
def test_the_sql_equals_the_model_row_for_row_over_many_histories(works: Works, history: History) -> None:
    check_against_the_model(works, history)


# The same log, the same bytes.


def check_bytes(works: Works, history: History) -> None:
    with works.company(history) as pipeline:
        whole = works.in_one_go(pipeline, history)
    with works.company(history) as pipeline:
        assert works.as_the_days_close(pipeline, history) == whole
    with works.company(history) as pipeline:
        assert works.backwards(pipeline, history) == whole


@examples(1)
@given(history=rich)
def test_batches_runs_growth_and_the_order_of_backfills_leave_the_bytes_as_they_are(
    works: Works, history: History
) -> None:
    """A closed day is made when nothing later has come, and again when all has: it does not change."""
    check_bytes(works, history)


@pytest.mark.torture
@many(150)
@given(history=histories())
def test_batches_runs_growth_and_the_order_of_backfills_leave_the_bytes_of_many_histories(
    works: Works, history: History
) -> None:
    check_bytes(works, history)


# What order and redelivery do not matter.


def redelivered(history: History) -> History:
    """Every usage event and correction is sent twice in a row, emitted anew."""
    entries: list[Entry] = []
    for entry in history.log:
        entries.append(entry)
        if isinstance(entry.record, Usage | Correction):
            entries.append(replace(entry, record=replace(entry.record, emitted_at=entry.received_at)))
    return History(history.books, numbered(entries))


def reordered(history: History, priorities: Sequence[int]) -> History:
    """Within each receipt day, usage events of identities that come once and are never corrected change places."""
    metering = Metering(history.books, history.log)
    seen = Counter(identity(entry) for entry in metering.valid)
    seen.update(entry.record.corrects for entry in metering.valid if isinstance(entry.record, Correction))
    free = [
        entry
        for entry in metering.valid
        if isinstance(entry.record, Usage) and seen[identity(entry)] == 1 and entry.first_received_at is None
    ]
    records = {entry.offset: entry.record for entry in history.log}
    for day in {metering.receipt_days[entry.offset] for entry in free}:
        places = [entry.offset for entry in free if metering.receipt_days[entry.offset] == day]
        moved = sorted(places, key=lambda offset: priorities[offset % len(priorities)])
        records |= {place: history.log[origin].record for place, origin in zip(places, moved, strict=True)}
    return History(
        history.books, tuple(replace(entry, record=records[entry.offset]) for entry in history.log)
    )


def same_but_for_the_order(history: History, other: History) -> bool:
    """Whether the same records are valid: a clock that is ahead, or a registration, may come between."""
    kept = (Metering(each.books, each.log) for each in (history, other))
    first, second = (Counter(repr(entry.record) for entry in metering.valid) for metering in kept)
    return first == second


priorities = st.lists(st.integers(0, 9), min_size=1, max_size=7)


def check_order(works: Works, history: History, moved: Sequence[int]) -> None:
    other = redelivered(reordered(history, moved))
    assume(same_but_for_the_order(history, reordered(history, moved)))
    note(repr(other))
    with works.company(history) as pipeline:
        first = works.in_one_go(pipeline, history)
    with works.company(other) as pipeline:
        second = works.in_one_go(pipeline, other)
    assert {key: value for key, value in first.items() if key[0] in WITHOUT_OFFSETS} == {
        key: value for key, value in second.items() if key[0] in WITHOUT_OFFSETS
    }


@examples(1)
@given(history=rich, moved=priorities)
def test_another_order_of_distinct_identities_and_redelivery_change_no_rollup(
    works: Works, history: History, moved: Sequence[int]
) -> None:
    check_order(works, history, moved)


@pytest.mark.torture
@many(200)
@given(history=histories(), moved=priorities)
def test_another_order_of_distinct_identities_and_redelivery_change_no_rollup_of_many_histories(
    works: Works, history: History, moved: Sequence[int]
) -> None:
    check_order(works, history, moved)


# Laws of the model itself: they hold of the SQL as far as it equals the model.


@examples(20)
@given(history=histories())
def test_the_restated_view_is_what_was_billed_with_all_adjustments(history: History) -> None:
    """Restated less as-billed (on time) is the sum of the late and the corrected rows."""
    metering = Metering(history.books, history.log)
    rows = rollups(metering)
    on_time, later = (
        added(
            *({(key[1], key[2], *key[4:]): value} for key, value in rows.items() if wanted(key[3])),
        )
        for wanted in ("on_time".__eq__, "on_time".__ne__)
    )
    assert added(on_time, later) == restated(metering, 10**6)


@examples(10)
@given(history=histories(), moved=priorities)
def test_the_model_does_not_depend_on_order_and_redelivery_either(
    history: History, moved: Sequence[int]
) -> None:
    other = reordered(history, moved)
    assume(same_but_for_the_order(history, other))
    expected_rollups = rollups(Metering(history.books, history.log))
    again = redelivered(other)
    assert rollups(Metering(other.books, other.log)) == expected_rollups
    assert rollups(Metering(again.books, again.log)) == expected_rollups


@examples(10)
@given(history=histories())
def test_what_comes_later_changes_nothing_that_was_booked_in_the_model(history: History) -> None:
    whole = rollups(Metering(history.books, history.log))
    for day in posting_days(Metering(history.books, history.log)):
        known = history.until(close(history.books, day))
        before = rollups(Metering(known.books, known.log))
        assert {key: value for key, value in before.items() if key[0] <= day} == {
            key: value for key, value in whole.items() if key[0] <= day
        }
