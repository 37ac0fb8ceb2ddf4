"""Corrections from the log to the rollups: what they refer to, what they book, and why they are refused."""

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.metering.stage import StageResult
from billing_pipeline.pipeline import Pipeline

FIRST, SECOND, LATER = date(2026, 10, 14), date(2026, 10, 15), date(2026, 12, 1)
DAYS = (FIRST, SECOND, LATER)
ONE, TWO, FAR = "2026-10-14T12:00:00Z", "2026-10-15T12:00:00Z", "2026-12-01T12:00:00Z"


@pytest.fixture(scope="module")
def pipeline(
    *,
    new_pipeline: Callable[[], Pipeline],
    usage: Callable[..., LogRecord],
    correction: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    change: Callable[..., LogRecord],
    receive: Callable[..., None],
    meter: Callable[[Pipeline, Sequence[date]], StageResult],
) -> Pipeline:
    """Everything that can become of a correction, on the day of its event, the day after, and months later."""

    def adjust(name: str, of: str, delta: str, **fields: object) -> LogRecord:
        return correction(name, of, ONE, action="adjust", quantity_delta=delta, **fields)

    def replace(name: str, of: str, **fields: object) -> LogRecord:
        return correction(name, of, ONE, action="replace", replacement=fields)

    split = [{"customer_id": "acme", "project_id": "p", "share": "0.5"}]
    split.append({"customer_id": "beta", "project_id": "q", "share": "0.5"})
    log = [
        *((ONE, record) for record in (*registered("acme"), *registered("beta", ("q",)))),
        (ONE, adjust("ahead", "a", "5")),
        *((ONE, usage(name, ONE, quantity="100")) for name in ("a", "b", "c", "d", "e", "f")),
        (ONE, usage("shared", ONE, quantity="7", allocations=split)),
        (ONE, adjust("chain-1", "a", "-30")),
        (ONE, adjust("too-much", "a", "-71")),
        (ONE, adjust("chain-2", "a", "-70")),
        (ONE, adjust("chain-2", "a", "-70")),
        (ONE, adjust("chain-2", "a", "-60")),
        (ONE, correction("of-a-correction", "chain-1", ONE, corrects={"source": "support", "id": "chain-1"})),
        (ONE, replace("unknown", "b", customer_id="gamma", project_id="g")),
        (ONE, replace("no-project", "b", customer_id="beta")),
        (ONE, replace("no-unit", "b", unit="parsec")),
        (ONE, adjust("split", "shared", "4")),
        (TWO, adjust("ahead", "a", "5")),
        (TWO, replace("moved", "c", customer_id="beta", project_id="q")),
        (TWO, correction("void", "d", TWO)),
        (TWO, replace("free", "e", billable=False)),
        (TWO, change("customer", "gamma", "register")),
        (TWO, change("project", "gamma/g", "register")),
        (TWO, replace("unknown", "b", customer_id="gamma", project_id="g")),
        (TWO, change("customer", "acme", "close", date(2026, 10, 14))),
        (
            FAR,
            correction(
                "after-all", "f", FAR, reason_code="dispute", note="found right", correlation_id="case-7"
            ),
        ),
        (FAR, correction("nothing", "never", FAR)),
    ]
    pipeline = new_pipeline()
    receive(pipeline, log)
    meter(pipeline, DAYS)
    return pipeline


@pytest.fixture
def select(
    pipeline: Pipeline, rows: Callable[..., list[tuple[Any, ...]]]
) -> Callable[[str], list[tuple[Any, ...]]]:
    return lambda query: rows(pipeline, query)


def test_each_correction_has_its_outcome_on_its_own_receipt_day(
    select: Callable[[str], list[tuple[Any, ...]]],
) -> None:
    """A refused one can be sent again as it is: it is then looked at anew, and not a duplicate."""
    found = select("SELECT DISTINCT receipt_day, id, outcome FROM usage_corrections")
    assert sorted(found) == [
        (FIRST, "ahead", "original_not_found"),
        (FIRST, "chain-1", "applied"),
        (FIRST, "chain-2", "applied"),
        (FIRST, "no-project", "unknown_project"),
        (FIRST, "no-unit", "unknown_unit"),
        (FIRST, "of-a-correction", "not_correctable"),
        (FIRST, "split", "applied"),
        (FIRST, "too-much", "effective_negative"),
        (FIRST, "unknown", "unknown_customer"),
        (SECOND, "ahead", "applied"),
        (SECOND, "free", "applied"),
        (SECOND, "moved", "applied"),
        (SECOND, "unknown", "applied"),
        (SECOND, "void", "applied"),
        (LATER, "after-all", "applied"),
        (LATER, "nothing", "original_not_found"),
    ]


def test_a_repeated_correction_is_listed_beside_the_applied_one(
    select: Callable[[str], list[tuple[Any, ...]]],
) -> None:
    (applied,) = select("SELECT DISTINCT queue_offset FROM usage_corrections WHERE id = 'chain-2'")
    assert select(
        "SELECT outcome, counted_queue_offset FROM duplicate_usage_events ORDER BY queue_offset"
    ) == [
        ("duplicate", *applied),
        ("conflict", *applied),
    ]


def test_an_applied_correction_books_minus_what_was_and_plus_what_is(
    select: Callable[[str], list[tuple[Any, ...]]],
) -> None:
    columns = "id, sign, customer_id, quantity"
    query = f"SELECT {columns} FROM usage_corrections WHERE sign <> 0 AND id LIKE '{{}}' ORDER BY ALL"
    assert select(query.format("chain-%")) == [
        ("chain-1", -1, "acme", 100),
        ("chain-1", 1, "acme", 70),
        ("chain-2", -1, "acme", 70),
        ("chain-2", 1, "acme", 0),
    ]
    assert select(query.format("moved")) == [("moved", -1, "acme", 100), ("moved", 1, "beta", 100)]
    assert select(query.format("split")) == [
        ("split", -1, "acme", 4),
        ("split", -1, "beta", 3),
        ("split", 1, "acme", 6),
        ("split", 1, "beta", 5),
    ]


def test_a_refused_correction_keeps_what_it_asked_for_and_books_nothing(
    select: Callable[[str], list[tuple[Any, ...]]],
) -> None:
    columns = "sign, quantity_delta, customer_id, quantity, posting_day"
    query = f"SELECT {columns} FROM usage_corrections WHERE id = 'too-much'"
    assert select(query) == [(0, Decimal(-71), None, None, None)]


def test_before_the_close_it_counts_in_the_same_day_and_after_it_on_the_day_of_its_receipt(
    select: Callable[[str], list[tuple[Any, ...]]],
) -> None:
    """Also after the late window of the event, and to a customer that is closed: no window binds corrections."""
    rollups = select(
        "SELECT posting_day, usage_day, kind, rule_version, customer_id, quantity, event_count FROM usage_rollups "
        "ORDER BY ALL"
    )
    old = "2023-11-01"
    assert rollups == [
        (FIRST, FIRST, "correction", old, "acme", Decimal(-98), 0),
        (FIRST, FIRST, "correction", old, "beta", Decimal(2), 0),
        (FIRST, FIRST, "on_time", old, "acme", Decimal(604), 7),
        (FIRST, FIRST, "on_time", old, "beta", Decimal(3), 1),
        (SECOND, FIRST, "correction", old, "acme", Decimal(-395), -4),
        (SECOND, FIRST, "correction", old, "beta", Decimal(100), 1),
        (SECOND, FIRST, "correction", old, "gamma", Decimal(100), 1),
        (LATER, FIRST, "correction", old, "acme", Decimal(-100), -1),
    ]


def test_who_corrected_and_why_stands_beside_the_rows(select: Callable[[str], list[tuple[Any, ...]]]) -> None:
    query = "SELECT DISTINCT source, reason_code, note, correlation_id FROM usage_corrections WHERE id = 'after-all'"
    assert select(query) == [("support", "dispute", "found right", "case-7")]
