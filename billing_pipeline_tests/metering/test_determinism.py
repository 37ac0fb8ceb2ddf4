"""The same log gives the same bytes, in whatever batches, stretches, runs and orders it is worked through."""

import random
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.invoicing.lines.rating_stage import list_invoice_lines, rate
from billing_pipeline.metering.control_records import separate_registry_changes
from billing_pipeline.metering.identity import identify
from billing_pipeline.metering.rollups import list_unmetered, roll_up, versions_found
from billing_pipeline.metering.stage import StageResult
from billing_pipeline.metering.validation import validate
from billing_pipeline.pipeline import Pipeline

Entry = tuple[str, LogRecord]
Hashes = dict[tuple[str, str], str]
DAYS = [date(2026, 10, day) for day in (14, 15, 16, 31)]
DECISIVE = ("usage_rollups", "rated_charges", "invoice_lines")


def hashes(result: StageResult) -> Hashes:
    """Of every partition of the tables that decide a cent; empty ones are left out."""
    return {
        (each.table, str(each.key)): each.content_hash
        for each in result.partitions
        if each.table in DECISIVE and each.rows
    }


@pytest.fixture(scope="module")
def log(usage: Callable[..., LogRecord], registered: Callable[..., list[LogRecord]]) -> list[Entry]:
    """Two days around a price change: on time, late, sent again, rejected; many at each instant."""
    generator = random.Random(7)
    entries = [
        ("2026-10-14T12:00:00.000000Z", record)
        for record in (
            *registered("acme"),
            *registered("euro", plan="enterprise"),
            *registered("none", plan=None),
        )
    ]
    for number, received_at in enumerate(
        f"2026-10-{day}T{hour}:59:59.{fraction}Z"
        for day, hour in ((14, "13"), (15, "12"), (16, "00"), (16, "01"))
        for fraction in ("000000", "999999")
    ):
        for one in range(5):
            day = generator.choice((14, 15)) if number > 1 else 14
            occurred_at = f"2026-10-{day}T{generator.randrange(10, 13)}:00:00Z"
            fields: dict[str, object] = {
                "customer_id": generator.choice(("acme", "euro", "none")),
                "quantity": str(generator.randrange(1, 10**9)),
                "unit": generator.choice(("token", "token", "call", "page")),
            }
            if fields["unit"] == "call":
                fields["dimensions"] = {"tool": generator.choice(("web_search", "shell"))}
            entries.append((received_at, usage(f"{number}-{one}", occurred_at, **fields)))
        entries.append((received_at, entries[-3][1]))
    return entries


@pytest.fixture(scope="module")
def expected(
    new_pipeline: Callable[[], Pipeline],
    receive: Callable[..., None],
    close: Callable[[Pipeline, Sequence[date]], StageResult],
    log: list[Entry],
) -> Hashes:
    """In one batch, one stretch and one run over all days."""
    pipeline = new_pipeline()
    receive(pipeline, log)
    found = hashes(close(pipeline, DAYS))
    assert {table for table, _ in found} == set(DECISIVE)
    return found


def test_small_batches_and_stretches_and_a_close_day_by_day_give_the_same(
    new_pipeline: Callable[[], Pipeline],
    receive: Callable[..., None],
    close: Callable[[Pipeline, Sequence[date]], StageResult],
    log: list[Entry],
    expected: Hashes,
) -> None:
    pipeline = new_pipeline()
    receive(pipeline, log, batch_records=7, stretch_records=20)
    found: Hashes = {}
    for day in DAYS:
        found |= hashes(close(pipeline, [day]))
    assert found == expected


def test_a_day_closed_before_the_next_ones_records_came_has_the_same_bytes(
    new_pipeline: Callable[[], Pipeline],
    receive: Callable[..., None],
    close: Callable[[Pipeline, Sequence[date]], StageResult],
    log: list[Entry],
    expected: Hashes,
) -> None:
    """A closed partition is a function of the log up to its close."""
    pipeline = new_pipeline()
    found: Hashes = {}
    for day in DAYS:
        closes = f"{day + timedelta(days=1)}T01:00:00"
        opens = f"{day}T01:00:00" if day != DAYS[0] else ""
        receive(pipeline, [entry for entry in log if opens <= entry[0] < closes])
        found |= hashes(close(pipeline, [day]))
    assert found == expected


def test_partitions_made_in_another_order_are_the_same(
    new_pipeline: Callable[[], Pipeline], receive: Callable[..., None], log: list[Entry], expected: Hashes
) -> None:
    """Each stage goes over its partitions backwards, as a backfill may; control records come first, as ever."""
    pipeline = new_pipeline()
    receive(pipeline, log)
    workshop = pipeline.workshop
    backwards = DAYS[::-1]
    separate_registry_changes(workshop, DAYS)
    for stage in (validate, identify):
        for day in backwards:
            stage(workshop, [day])
    result = list_unmetered(workshop, backwards)
    for key in reversed(versions_found(workshop, DAYS)):
        result = result.then(roll_up(workshop, [key]))
    result = result.then(rate(workshop, backwards)).then(list_invoice_lines(workshop, backwards))
    assert hashes(result) == expected


def test_events_received_at_one_instant_in_another_order_give_the_same(
    new_pipeline: Callable[[], Pipeline],
    receive: Callable[..., None],
    close: Callable[[Pipeline, Sequence[date]], StageResult],
    log: list[Entry],
    expected: Hashes,
) -> None:
    generator = random.Random(1)
    shuffled: list[Any] = sorted(
        log, key=lambda entry: (entry[0], entry[1].kind != "control", generator.random())
    )
    assert [record.id for _, record in shuffled] != [record.id for _, record in log]
    pipeline = new_pipeline()
    receive(pipeline, shuffled)
    assert hashes(close(pipeline, DAYS)) == expected
