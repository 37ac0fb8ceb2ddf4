"""The dedup window: how far back an identity is looked up, and which identities never expire."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from billing_pipeline.contract.instants import instant_us
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.metering.control_records import separate_registry_changes
from billing_pipeline.metering.identity import identify
from billing_pipeline.metering.validation import validate
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.rule_book import RuleBooks
from billing_pipeline.rating.rule_book_yaml import load_rule_books
from billing_pipeline.settings import PROJECT_ROOT

WINDOW_DAYS = 10
START = date(2026, 10, 1)


def day(number: int) -> date:
    return START + timedelta(days=number)


def noon(number: int) -> str:
    return f"{day(number)}T12:00:00Z"


DAYS = [day(number) for number in (0, 1, 5, 10, 11, 12, 20, 21, 25, 30)]


@pytest.fixture(scope="module")
def limited() -> RuleBooks:
    """The project's rules with a late window of 2 days and a dedup window of 10."""
    books = load_rule_books(PROJECT_ROOT / "data" / "rule_books")
    policies = [
        dataclasses.replace(book.close_policy, late_window_days=2, dedup_window_days=WINDOW_DAYS)
        for book in books
    ]
    return RuleBooks(
        tuple(
            dataclasses.replace(book, close_policy=policy)
            for book, policy in zip(books, policies, strict=True)
        )
    )


@pytest.fixture(scope="module")
def pipeline(
    *,
    new_pipeline: Callable[[RuleBooks], Pipeline],
    limited: RuleBooks,
    usage: Callable[..., LogRecord],
    correction: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
) -> Pipeline:
    """Offsets 0 to 2 register the customer. A resend with a fresh time is what a window can forget."""
    log = [
        *((noon(0), record) for record in registered()),
        (noon(0), usage("within", noon(0))),  # 3
        (noon(0), usage("beyond", noon(0))),  # 4
        (noon(0), usage("sliding", noon(0))),  # 5
        (noon(0), usage("corrected", noon(0))),  # 6
        (noon(1), correction("fix", "corrected", noon(1))),  # 7
        (noon(5), correction("of-nothing", "named-first", noon(5))),  # 8
        (noon(5), usage("named-first", noon(5))),  # 9
        (noon(10), usage("within", noon(10))),  # 10: the last day of the window
        (noon(10), usage("sliding", noon(10))),  # 11
        (noon(11), usage("beyond", noon(11))),  # 12: a day later it is forgotten
        (noon(20), usage("sliding", noon(20))),  # 13: the repetition of day 10 is in the window
        (noon(20), correction("late-fix", "beyond", noon(20), action="adjust", quantity_delta="-1")),  # 14
        (noon(25), usage("corrected", noon(25))),  # 15: corrected, never forgotten
        (noon(25), usage("named-first", noon(25))),  # 16
        (noon(30), correction("fix", "corrected", noon(1))),  # 17: corrections are never forgotten
        (noon(30), usage("beyond", noon(30))),  # 18: corrected meanwhile
    ]
    pipeline = new_pipeline(limited)
    receive(pipeline, log)
    separate_registry_changes(pipeline.workshop, DAYS)
    validate(pipeline.workshop, DAYS)
    return pipeline


def hashes(pipeline: Pipeline, runs: Iterable[Sequence[date]]) -> dict[tuple[str, str], str]:
    return {
        (each.table, str(each.key)): each.content_hash
        for days in runs
        for each in identify(pipeline.workshop, days).partitions
    }


def test_an_identity_is_known_within_the_window_and_forgotten_beyond_it(
    pipeline: Pipeline, rows: Callable[..., list[tuple[Any, ...]]]
) -> None:
    """Repetitions keep an identity alive; what a correction names is never forgotten, and no correction is."""
    identify(pipeline.workshop, DAYS)
    query = (
        "SELECT queue_offset, outcome, counted_queue_offset FROM duplicate_usage_events ORDER BY queue_offset"
    )
    assert rows(pipeline, query) == [
        (10, "conflict", 3),
        (11, "conflict", 5),
        (13, "conflict", 11),
        (15, "conflict", 6),
        (16, "conflict", 9),
        (17, "duplicate", 7),
        (18, "conflict", 4),
    ]
    query = "SELECT queue_offset FROM unique_usage_events ORDER BY queue_offset"
    assert [row[0] for row in rows(pipeline, query)] == [3, 4, 5, 6, 9, 12]


def test_a_correction_refers_to_the_latest_event_that_counted_under_its_id(
    pipeline: Pipeline, rows: Callable[..., list[tuple[Any, ...]]]
) -> None:
    identify(pipeline.workshop, DAYS)
    query = "SELECT DISTINCT id, outcome, corrected_queue_offset FROM usage_corrections ORDER BY id"
    assert rows(pipeline, query) == [
        ("fix", "applied", 6),
        ("late-fix", "applied", 12),
        ("of-nothing", "original_not_found", None),
    ]


def test_day_by_day_in_any_order_gives_the_bytes_of_one_run_over_all_days(pipeline: Pipeline) -> None:
    expected = hashes(pipeline, [DAYS])
    assert hashes(pipeline, [[each] for each in reversed(DAYS)]) == expected
    assert hashes(pipeline, [DAYS[5:], DAYS[:5]]) == expected


def test_a_requeued_record_is_compared_with_all_history(
    *,
    new_pipeline: Callable[[RuleBooks], Pipeline],
    limited: RuleBooks,
    usage: Callable[..., LogRecord],
    correction: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
    rows: Callable[..., list[tuple[Any, ...]]],
) -> None:
    """It may come again long after its late window: its producer's own resend may have counted before the window.

    A correction then is one of the event that counted, not of its repetition.
    """
    pipeline = new_pipeline(limited)
    event = usage("refused", noon(0))
    instant = instant_us(noon(0))
    again = msgspec.structs.replace(event, first_received_at=instant, requeued_offset=0)
    log = [
        (noon(0), event),  # 0: rejected, for the customer is unknown
        *((noon(0), record) for record in registered()),  # 1 to 3
        (noon(1), event),  # 4: its producer sends it again
        (noon(30), again),  # 5: and so do we
        (noon(45), event),  # 6: too late, as any other
        (noon(45), usage("refused", noon(45))),  # 7: what was sent again is never forgotten
        (noon(45), correction("fix", "refused", noon(45))),  # 8
    ]
    receive(pipeline, log)
    days = [day(number) for number in (0, 1, 30, 45)]
    separate_registry_changes(pipeline.workshop, days)
    validate(pipeline.workshop, days)
    expected = hashes(pipeline, [days])
    query = (
        "SELECT queue_offset, outcome, counted_queue_offset FROM duplicate_usage_events ORDER BY queue_offset"
    )
    assert rows(pipeline, query) == [(5, "duplicate", 4), (7, "conflict", 4)]
    assert rows(pipeline, "SELECT queue_offset FROM unique_usage_events") == [(4,)]
    assert set(rows(pipeline, "SELECT corrected_queue_offset FROM usage_corrections")) == {(4,)}
    assert hashes(pipeline, [[each] for each in reversed(days)]) == expected
