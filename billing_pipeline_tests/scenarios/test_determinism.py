"""The same log and rules give the same hashes: in any batches, in one run or day by day, in any order that is allowed.

The log is three days of the simulated company around its price change, with all that happens in it: redeliveries,
conflicts, late, malformed and unknown events, corrections, registry changes. Its customers' periods
end with the last one.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from billing_pipeline.contract.instants import microseconds_of
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.demo.company import company_log
from billing_pipeline.ingest.landing import Lander
from billing_pipeline.invoicing.lines.rating_stage import list_invoice_lines, rate
from billing_pipeline.metering.control_records import separate_registry_changes
from billing_pipeline.metering.identity import identify
from billing_pipeline.metering.rollups import list_unmetered, roll_up, versions_found
from billing_pipeline.metering.stage import StageResult, Workshop
from billing_pipeline.metering.validation import validate
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.settings import load_settings

Received = tuple[int, LogRecord]
"""Receipt time in UTC microseconds, and the record."""

FIRST, LAST = date(2026, 10, 16), date(2026, 10, 18)
DAYS = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]
ANCHOR_DAY = 19
HOUR_US = 3_600_000_000
COMPARED = ("usage_rollups", "rated_charges", "invoice_lines")


@dataclass(frozen=True)
class Way:
    """How a log is worked through. `groups` are the days of each run, in the order of the runs."""

    batch_records: int = 500
    stretch_records: int = 1_000_000
    groups: Sequence[Sequence[date]] = (DAYS,)


@pytest.fixture(scope="module")
def log() -> list[Received]:
    """The log of the days; within an hour everything is received at the same instant, on the hour."""
    opens, closes = (
        datetime(day.year, day.month, day.day, 1, tzinfo=UTC) for day in (FIRST, LAST + timedelta(days=1))
    )
    received: list[Received] = []
    for position, record in enumerate(company_log()):
        if record.change is not None:
            change = record.change
            if change.entity == "customer" and change.change == "register":
                change = msgspec.structs.replace(change, details={**change.details, "anchor_day": ANCHOR_DAY})
            at = max(record.received_at, opens)
            sent = replace(record, received_at=at, change=change)
        else:
            sent = record
        if opens <= sent.received_at < closes:
            at_us = microseconds_of(sent.received_at)
            received.append((at_us - at_us % HOUR_US, sent.log_record(position)))
    return received


@pytest.fixture(scope="module")
def closed_at_once(
    log: list[Received],
    new_home: Callable[..., Path],
    in_home: Callable[[Path], Any],
    billing: Callable[..., str],
    hashes: Callable[..., dict[str, str]],
) -> dict[str, str]:
    """The hashes after one `billing close` of all days."""
    home = new_home()
    with in_home(home):
        append(Pipeline(load_settings()), log, 500)
    billing(home, "close", "--through", LAST)
    return hashes(home)


def test_the_log_holds_what_could_go_wrong(closed_at_once: dict[str, str], log: list[Received]) -> None:
    """Two rule versions, ended periods and records of every kind: else the sameness below would prove little."""
    assert {key.partition("|")[2] for key in closed_at_once if "rollups" in key} == {
        "2023-11-01",
        "2026-10-16",
    }
    assert {record.kind for _, record in log} == {"usage", "correction", "control", "invalid"}
    empty = closed_at_once[f"invoice_lines {FIRST}"]
    assert closed_at_once[f"invoice_lines {LAST}"] != empty


@pytest.mark.torture
def test_closed_day_by_day_it_is_the_same(
    closed_at_once: dict[str, str],
    log: list[Received],
    home: Path,
    in_home: Callable[[Path], Any],
    billing: Callable[..., str],
    hashes: Callable[..., dict[str, str]],
) -> None:
    """Each day is closed before the next one's first record has arrived."""
    with in_home(home):
        pipeline = Pipeline(load_settings())
        calendar = pipeline.calendar
        for day, of_day in groupby(log, lambda each: calendar.receipt_day(each[0])):
            append(pipeline, list(of_day), 300, until=calendar.close(day))
            billing(home, "close", "--through", day)
    assert hashes(home) == closed_at_once


@pytest.mark.parametrize(
    "way",
    [
        pytest.param(Way(batch_records=37, stretch_records=111), id="small batches, many stretches"),
        pytest.param(Way(groups=[DAYS[2:], DAYS[:1], DAYS[1:2]]), id="later days first"),
    ],
)
def test_worked_through_in_another_way_it_is_the_same(
    closed_at_once: dict[str, str],
    log: list[Received],
    home: Path,
    in_home: Callable[[Path], Any],
    way: Way,
) -> None:
    """Neither the size of batches and of landed stretches nor the order of partitions within a stage shows."""
    with in_home(home):
        assert worked_through(Pipeline(load_settings()), log, way) == closed_at_once


@pytest.mark.parametrize("seed", [1, 2])
def test_received_in_another_order_at_the_same_instant_it_is_the_same(
    closed_at_once: dict[str, str],
    log: list[Received],
    home: Path,
    in_home: Callable[[Path], Any],
    seed: int,
) -> None:
    """Distinct events of one instant change places; those of one identity and registry changes keep theirs."""
    other = list(reordered(log, random.Random(seed)))
    assert sorted(other, key=itemgetter(0)) == other != log
    with in_home(home):
        assert worked_through(Pipeline(load_settings()), other, Way()) == closed_at_once


def test_made_again_with_everything_there_a_partition_stays_as_it_is(
    closed_at_once: dict[str, str], log: list[Received], home: Path, in_home: Callable[[Path], Any]
) -> None:
    """A closed partition is a function of the log up to its close, so a second pass over some days changes nothing."""
    with in_home(home):
        pipeline = Pipeline(load_settings())
        assert worked_through(pipeline, log, Way(batch_records=10_000)) == closed_at_once
        again = work(pipeline.workshop, Way(groups=[DAYS[2:], DAYS[1:2]]))
        assert again.items() <= closed_at_once.items()


def append(pipeline: Pipeline, log: Sequence[Received], batch_records: int, until: int | None = None) -> None:
    """Put a log into the queue, and move its clock past the last day (or to an instant)."""
    with pipeline.queue() as queue:
        for start in range(0, len(log), batch_records):
            batch = log[start : start + batch_records]
            queue.append("test", [record for _, record in batch], [at for at, _ in batch])
        queue.advance(pipeline.calendar.close(LAST) if until is None else until)


def worked_through(pipeline: Pipeline, log: Sequence[Received], way: Way) -> dict[str, str]:
    """The hashes of a log that is landed and worked through in a way, stage by stage."""
    append(pipeline, log, way.batch_records)
    with pipeline.queue() as queue:
        Lander(
            queue, pipeline.lake, pipeline.engine, pipeline.calendar, pipeline.control, way.stretch_records
        ).land()
    return work(pipeline.workshop, way)


def work(workshop: Workshop, way: Way) -> dict[str, str]:
    """Run the stages one after the other, each over the groups of days; the hashes of what is compared."""
    days_in_groups = [list(group) for group in way.groups]

    def roll_up_found(workshop: Workshop, days: Sequence[date]) -> StageResult:
        keys = list(versions_found(workshop, days))
        if len(days_in_groups) == 1:
            return roll_up(workshop, keys)
        # The partitions of a day by themselves, the last one first.
        results = [roll_up(workshop, [key]) for key in reversed(keys)]
        return StageResult(tuple(partition for each in results for partition in each.partitions), {}, {})

    found: dict[str, str] = {}
    for stage in (separate_registry_changes, validate, identify, roll_up_found, list_unmetered):
        for days in days_in_groups:
            found |= hashes_of(stage(workshop, days))
    for days in sorted(days_in_groups):  # adjustments of an invoice need the ones before it
        found |= hashes_of(rate(workshop, days)) | hashes_of(list_invoice_lines(workshop, days))
    return found


def hashes_of(result: StageResult) -> dict[str, str]:
    """The hashes of the compared tables' partitions, by table and key."""
    return {
        f"{partition.table} {partition.key}": partition.content_hash
        for partition in result.partitions
        if partition.table in COMPARED
    }


def reordered(log: Sequence[Received], chance: random.Random) -> Iterator[Received]:
    """The log with the records of each instant in a random order, between registry changes."""
    for (at, is_control), group in groupby(log, lambda each: (each[0], each[1].kind == "control")):
        records = [record for _, record in group]
        if is_control:
            yield from ((at, record) for record in records)
            continue
        by_identity: dict[tuple[str | None, str | None], list[LogRecord]] = {}
        for record in records:
            by_identity.setdefault(identity(record), []).append(record)
        places = [name for name, of_one in by_identity.items() for _ in of_one]
        chance.shuffle(places)
        yield from ((at, by_identity[name].pop(0)) for name in places)


def identity(record: LogRecord) -> tuple[str | None, str | None]:
    """What an event is, or is about: a correction stays behind the event that it corrects."""
    if record.kind == "correction":
        return record.corrects_source, record.corrects_id
    return record.source, record.id
