"""Meters that look at a usage day as a whole: maximum, latest, unique count and time-weighted sum."""

import dataclasses
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from billing_pipeline.audit.rollup_conservation import rollup_faults
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.metering.restated import restate
from billing_pipeline.metering.stage import StageResult
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.rule_book import Meter, RuleBook, RuleBooks
from billing_pipeline.rating.rule_book_yaml import load_rule_books
from billing_pipeline.settings import PROJECT_ROOT

MORNING, AFTERNOON = "morning", "afternoon"
FIRST, SECOND, THIRD = date(2026, 10, 14), date(2026, 10, 15), date(2026, 10, 16)
DAYS = (FIRST, SECOND, THIRD)
METERS = {
    "peak": Meter("peak", "gb", "max"),
    "level": Meter("level", "gb", "latest"),
    "held": Meter("held", "gb", "time_weighted_sum"),
    "models": Meter("models", "gb", "unique_count", distinct="dimensions.model"),
    "users": Meter("users", "gb", "unique_count", ("model",), distinct="user_id"),
    "events": Meter("events", "gb", "count"),
}
Rows = dict[str, list[tuple[Any, ...]]]


def book(version: str, hour: int) -> RuleBook:
    """A version that starts on the first day; the second one starts within it, at noon."""
    (template, *_) = load_rule_books(PROJECT_ROOT / "data" / "rule_books")
    start = datetime(2026, 10, 14, hour, tzinfo=UTC)
    return dataclasses.replace(
        template, version=version, effective_from=start, units=frozenset({"gb"}), meters=METERS
    )


@pytest.fixture(scope="module")
def pipeline(
    *,
    new_pipeline: Callable[[RuleBooks], Pipeline],
    usage: Callable[..., LogRecord],
    correction: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
    meter: Callable[[Pipeline, Sequence[date]], StageResult],
) -> Pipeline:
    """Five events around noon of the first day, a late one before all of them, and a correction of the largest."""
    noon, end = "2026-10-14T12:00:00Z", "2026-10-14T23:00:00Z"

    def gb(
        name: str, occurred_at: str, quantity: str, model: str | None = None, user: str | None = None
    ) -> LogRecord:
        dimensions = {"model": model} if model else None
        return usage(name, occurred_at, unit="gb", quantity=quantity, dimensions=dimensions, user_id=user)

    log = [
        *((noon, record) for record in registered()),
        (noon, gb("b", "2026-10-14T06:00:00Z", "5", "x", "ann")),
        (noon, gb("c", "2026-10-14T11:59:59.999999Z", "3", "y", "ann")),
        (end, gb("d", noon, "8", "x", "bob")),
        (end, gb("e", "2026-10-14T18:00:00Z", "2", None, "ann")),
        (end, gb("f", "2026-10-14T18:00:00Z", "1.5", "x", None)),
        ("2026-10-15T12:00:00Z", gb("a", "2026-10-14T03:00:00Z", "7", "z", "ann")),
        ("2026-10-16T12:00:00Z", correction("fix", "d", end)),
    ]
    pipeline = new_pipeline(RuleBooks((book(MORNING, 0), book(AFTERNOON, 12))))
    receive(pipeline, log)
    meter(pipeline, DAYS)
    return pipeline


@pytest.fixture(scope="module")
def booked(pipeline: Pipeline, rows: Callable[..., list[tuple[Any, ...]]]) -> Rows:
    """By meter: posting day, kind, rule version, dimensions, quantity, events."""
    found: Rows = {}
    for meter, *row in rows(
        pipeline,
        "SELECT meter, posting_day, kind, rule_version, dimensions, quantity, event_count FROM usage_rollups "
        "ORDER BY meter, posting_day, rule_version DESC, dimensions",
    ):
        found.setdefault(meter, []).append(tuple(row))
    return found


def test_a_maximum_is_shared_among_the_versions_by_who_raised_it(booked: Rows) -> None:
    """5, then 8: the late 7 raises the morning to 7 and leaves the afternoon 1; without the 8 it is 7 in all."""
    assert booked["peak"] == [
        (FIRST, "on_time", MORNING, "{}", 5, 2),
        (FIRST, "on_time", AFTERNOON, "{}", 3, 3),
        (SECOND, "late", MORNING, "{}", 2, 1),
        (SECOND, "late", AFTERNOON, "{}", -2, 0),
        (THIRD, "correction", AFTERNOON, "{}", -1, -1),
    ]


def test_the_latest_is_the_last_in_the_order_of_time_source_and_id(booked: Rows) -> None:
    """Two at one instant: `f` comes after `e`. A late one in the morning changes nothing; nor does the void one."""
    assert booked["level"] == [
        (FIRST, "on_time", MORNING, "{}", 3, 2),
        (FIRST, "on_time", AFTERNOON, "{}", Decimal("-1.5"), 3),
        (SECOND, "late", MORNING, "{}", 0, 1),
        (THIRD, "correction", AFTERNOON, "{}", 0, -1),
    ]


def test_a_level_holds_until_the_next_event_or_the_end_of_the_day(booked: Rows) -> None:
    """Unit-seconds, exact to the microsecond: 3 GB end at noon and hold a microsecond, which is cut to nine digits."""
    hour = 3600
    six_hours_less = Decimal(6 * hour) - Decimal("0.000001")
    assert booked["held"] == [
        (FIRST, "on_time", MORNING, "{}", 5 * six_hours_less + 3 * Decimal("0.000001"), 2),
        (FIRST, "on_time", AFTERNOON, "{}", 8 * 6 * hour + Decimal("1.5") * 6 * hour, 3),
        (SECOND, "late", MORNING, "{}", 7 * 3 * hour, 1),
        (THIRD, "correction", MORNING, "{}", 3 * 6 * hour, 0),
        (THIRD, "correction", AFTERNOON, "{}", -8 * 6 * hour, -1),
    ]


def test_values_are_counted_once_by_the_event_that_brought_them_first(booked: Rows) -> None:
    """An event without the dimension or the user counts no value, but stands behind the row."""
    assert booked["models"] == [
        (FIRST, "on_time", MORNING, "{}", 2, 2),
        (FIRST, "on_time", AFTERNOON, "{}", 0, 3),
        (SECOND, "late", MORNING, "{}", 1, 1),
        (THIRD, "correction", AFTERNOON, "{}", 0, -1),
    ]
    assert booked["users"] == [
        (FIRST, "on_time", MORNING, '{"model":"x"}', 1, 1),
        (FIRST, "on_time", MORNING, '{"model":"y"}', 1, 1),
        (FIRST, "on_time", AFTERNOON, '{"model":"x"}', 1, 2),
        (FIRST, "on_time", AFTERNOON, "{}", 1, 1),
        (SECOND, "late", MORNING, '{"model":"z"}', 1, 1),
        (THIRD, "correction", AFTERNOON, '{"model":"x"}', -1, -1),
    ]


def test_a_void_event_counts_none_beside_them(booked: Rows) -> None:
    assert [(day, sum(row[4] for row in booked["events"] if row[0] == day)) for day in DAYS] == [
        (FIRST, 5),
        (SECOND, 1),
        (THIRD, -1),
    ]


def test_restated_is_what_the_day_comes_to_now(
    pipeline: Pipeline, rows: Callable[..., list[tuple[Any, ...]]]
) -> None:
    """Peak 7, latest 1.5, models x, y, z; a late event and a correction later."""
    restate(pipeline.workshop, [FIRST])
    query = "SELECT meter, sum(quantity) FROM restated_rollups WHERE dimensions = '{}' GROUP BY meter ORDER BY meter"
    now = dict(rows(pipeline, query))
    assert (now["peak"], now["level"], now["models"], now["events"]) == (7, Decimal("1.5"), 3, 5)


def test_the_check_makes_the_same_sums_another_way(pipeline: Pipeline) -> None:
    assert rollup_faults(pipeline.workshop, DAYS) == []
